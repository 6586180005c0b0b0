// JobService: finds jobs and reports their state. It stores nothing: a job is a run, its id contains the session, and
// its state is in the session's log and transcript. So any node can answer, also after a restart, whichever transport
// started the run.
import {
  type Cursor,
  formatCursor,
  type Job,
  type JobAccepted,
  parseCursor,
  ReplyError,
  stringifyJson,
} from '@parley/protocol'
import { catchUp } from '../../session/catch-up.ts'
import { lookUpRun } from '../../session/find-run.ts'
import { readRunPage } from '../../session/run-page.ts'
import { type FoundRun, jobState, lastSeqOf, runProgress, runResult } from '../../session/run-report.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionReplica, SessionStores } from '../../session/session-replica.ts'
import { isOutsider } from '../../session/state/members.ts'
import { findRun } from '../../session/state/session-state.ts'
import { isDeletion } from '../../session/state/tombstone.ts'
import type { Entry } from '../../store/ports/entry.ts'
import { EntryMessage, FrameHead } from '../feed/entry-message.ts'
import { formatJobId, type JobName, parseJobId } from './job-id.ts'
import type { Pace, WaitingJob } from './poll-schedule.ts'

export interface JobServicePorts {
  readonly stores: SessionStores
  readonly sessions: SessionCache
  /** Milliseconds for which a job's result is kept after its end. */
  readonly retentionMs: number
  readonly now: () => number
}

export interface JobQuery {
  readonly since: Cursor | undefined
  /** Milliseconds. */
  readonly waitMs: number
  /** Whether the client already has the version with this ETag. */
  readonly holds: ((etag: string) => boolean) | undefined
  /** The wait also ends when they leave the session; the caller then refuses them. */
  readonly user: string
  /** Ends the wait early; the answer is then the current state. */
  readonly signal: AbortSignal | undefined
  /** When to answer a client that does not wait, and when it should poll again. */
  readonly pace: PaceOf
}

type PaceOf = (waiting: WaitingJob) => Pace

export interface JobReport {
  readonly etag: string
  /** JSON; undefined if the client already has it. */
  readonly body: string | undefined
  readonly hasEnded: boolean
  /** Seconds until the next poll; undefined if the job has ended, or the request was a long poll. */
  readonly seconds: number | undefined
  /** Whether the entries reach the end of the log. */
  readonly live: boolean
}

export class JobService {
  readonly #ports: JobServicePorts

  constructor(ports: JobServicePorts) {
    this.#ports = ports
  }

  /** The answer for a job that has just been created. @throws ReplyError job_not_found if there is no such run */
  async accepted(
    name: JobName,
    paceOf: PaceOf,
  ): Promise<{ readonly body: JobAccepted; readonly seconds: number | undefined }> {
    return this.#with(name, async (session, found) => {
      const pace = found.record.ended === undefined ? paceOf(this.#waiting(found)) : undefined
      if (pace !== undefined && pace.holdMs > 0) await changes(session, found, true, pace.holdMs)
      const record = findRun(session.state, name.run) ?? found.record
      const { session: id, run } = name
      const body = {
        id: formatJobId(name),
        session: id,
        run,
        state: jobState({ state: session.state, record }),
        cursor: this.#cursor(record.order),
      }
      return { body, seconds: record.ended === undefined ? pace?.seconds : undefined }
    })
  }

  /** The run that an id names. @throws ReplyError job_not_found, job_expired, unavailable; StorageError */
  async find(id: string): Promise<JobName & { readonly hasEnded: boolean }> {
    const name = parseJobId(id)
    if (name === undefined) throw new ReplyError('job_not_found')
    return this.#with(name, async (_, { record }) => ({ ...name, hasEnded: record.ended !== undefined }))
  }

  /**
   * Waits up to `waitMs` until there is an entry after `since` or the ETag differs from the client's; without both,
   * until the job has ended.
   * @throws ReplyError job_not_found, job_expired, invalid_cursor, contended, unavailable; StorageError
   */
  async report(id: string, query: JobQuery): Promise<JobReport> {
    const name = parseJobId(id)
    if (name === undefined) throw new ReplyError('job_not_found')
    const { waitMs, signal } = query
    const waits = waitMs > 0
    let until = performance.now() + waitMs
    let pace: Pace | undefined
    for (;;) {
      const report = await this.#with(name, async (session, found) => {
        const now = await this.#catchUpTo(session, found, query.since)
        if (!waits && pace === undefined && now.record.ended === undefined) {
          pace = query.pace(this.#waiting(now))
          until += pace.holdMs
        }
        const left = until - performance.now()
        const isReady = waits ? this.#isReady(now, query) : now.record.ended !== undefined
        const isOver = signal?.aborted === true || left <= 0 || isOutsider(session.state.members, query.user)
        if (isOver || isReady) return this.#report(session, now, query, pace)
        // Without `wait` the answer is delayed for a moment at most, and only the job's end ends the delay early.
        const endOnly = !waits || (query.since === undefined && query.holds === undefined)
        await changes(session, now, endOnly, left, signal)
        return undefined
      })
      if (report !== undefined) return report
    }
  }

  async #with<T>(name: JobName, use: (session: SessionReplica, found: FoundRun) => Promise<T>): Promise<T> {
    const { stores, sessions, retentionMs, now } = this.#ports
    return sessions.with(name.session, async (session) => {
      const found = await lookUpRun(stores, session, name.run)
      if (found === undefined) throw new ReplyError('job_not_found')
      const { endedAt } = found.record
      if (endedAt !== undefined && now() - endedAt > retentionMs) throw new ReplyError('job_expired')
      return use(session, found)
    })
  }

  /** The run, after this node has read the log at least as far as the client. */
  async #catchUpTo(session: SessionReplica, found: FoundRun, since: Cursor | undefined): Promise<FoundRun> {
    const { stores } = this.#ports
    const position = since === undefined ? undefined : parseCursor(since)
    if (position?.epoch !== stores.log.epoch || position.seq <= session.state.seq) return found
    await catchUp(stores, session)
    return (await lookUpRun(stores, session, found.record.id)) ?? found
  }

  #isReady(found: FoundRun, { since, holds }: JobQuery): boolean {
    if (found.record.ended !== undefined) return true
    if (holds !== undefined && !holds(this.#etag(found))) return true
    const position = since === undefined ? undefined : parseCursor(since)
    if (position === undefined) return false
    return position.epoch !== this.#ports.stores.log.epoch || position.seq < lastSeqOf(found)
  }

  async #report(
    session: SessionReplica,
    found: FoundRun,
    { since, holds }: JobQuery,
    pace: Pace | undefined,
  ): Promise<JobReport> {
    const { stores } = this.#ports
    const etag = this.#etag(found)
    const { record } = found
    const hasEnded = record.ended !== undefined
    const about = { etag, hasEnded, seconds: hasEnded ? undefined : pace?.seconds }
    if (holds?.(etag) === true) return { ...about, body: undefined, live: true }
    const page = await readRunPage(stores, session.id, found, session.state.seq, since)
    const id = formatJobId({ session: session.id, run: record.id })
    const result = runResult(session.id, record, (seq) => this.#cursor(seq))
    const job: Omit<Job, 'entries'> = {
      id,
      session: session.id,
      run: record.id,
      state: jobState(found),
      message: record.message,
      progress: runProgress(found),
      cursor: this.#cursor(page.position),
      live: !page.more,
      ...(page.reset ? { reset: true } : {}),
      ...(result === undefined ? {} : { result: { id, ...result } }),
    }
    // The entries are the stored JSON, unchanged.
    const entries = new EntryMessage(new FrameHead(session.id, stores.log.epoch), page.entries, page.position).in(
      'list',
    )
    const body = `${stringifyJson(job).slice(0, -1)},"entries":[${entries}]}`
    return { ...about, body, live: !page.more }
  }

  #waiting(found: FoundRun): WaitingJob {
    const { createdAt, ahead = 0 } = runProgress(found)
    return { state: jobState(found), ageMs: this.#ports.now() - createdAt, ahead }
  }

  /** Weak, because the same entries may be merged differently. */
  #etag(found: FoundRun): string {
    return `W/"${this.#cursor(lastSeqOf(found))}"`
  }

  #cursor(seq: number): Cursor {
    return formatCursor(this.#ports.stores.log.epoch, seq)
  }
}

/**
 * Resolves when the run may have changed, on timeout, or on abort.
 * @param endOnly whether to wait for the run's end only
 */
function changes(
  session: SessionReplica,
  { record }: FoundRun,
  endOnly: boolean,
  ms: number,
  signal?: AbortSignal | undefined,
): Promise<void> {
  // It may have changed since the caller has read it.
  const now = findRun(session.state, record.id)
  if (session.state.deleted !== undefined || (now !== undefined && now !== record)) return Promise.resolve()
  const subject = `run.${record.id}`
  // Looks at the raw entries: reading the state would apply them at every token.
  const isReason = (entry: Entry): boolean => entry.event.type === 'member.left' || isDeletion(entry) || concerns(entry)
  const concerns = (entry: Entry): boolean =>
    endOnly
      ? entry.subject === subject && entry.event.type === 'run.ended'
      : entry.subject === subject || entry.subject.startsWith('tool.') || entry.subject.startsWith('in.')
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer)
      unsubscribe()
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, ms)
    const unsubscribe = session.subscribe((entries) => {
      if (session.lost !== undefined || entries.some(isReason)) finish()
    })
    signal?.addEventListener('abort', finish, { once: true })
  })
}
