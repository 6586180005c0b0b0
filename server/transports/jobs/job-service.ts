// JobService: what is asked about jobs, and done. Keeps nothing: a job is a run, its id names the session, and all that is told
// of it lies in the log and its transcript; so any node answers, after any restart, whoever made the run.
import { type Cursor, formatCursor, type Job, type JobAccepted, parseCursor, ReplyError } from '@parley/protocol'
import { catchUp, lookUpRun } from '../../session/find-run.ts'
import { readRunPage } from '../../session/run-page.ts'
import { type FoundRun, jobState, lastOf, runProgress, runResult } from '../../session/run-report.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionReplica, SessionStores } from '../../session/session-replica.ts'
import { findRun } from '../../session/state/session-state.ts'
import { isDeletion } from '../../session/state/tombstone.ts'
import type { Entry } from '../../store/ports/entry.ts'
import { EntryMessage, FrameHead } from '../feed/entry-message.ts'
import { formatJobId, type JobName, parseJobId } from './job-id.ts'
import type { WaitingJob } from './pacing.ts'
import type { Pace } from './poll-schedule.ts'

export interface JobServicePorts {
  readonly stores: SessionStores
  readonly sessions: SessionCache
  /** Milliseconds for which a job's result is kept after its end. */
  readonly retentionMs: number
  readonly now: () => number
}

/** What a client asks for. */
export interface JobQuery {
  readonly since: Cursor | undefined
  /** Milliseconds. */
  readonly waitMs: number
  /** Whether the client holds what a tag names. */
  readonly holds: ((etag: string) => boolean) | undefined
  /** Ends the wait: then it is answered with what there is. */
  readonly signal: AbortSignal | undefined
  /** When to answer a client that does not wait, and for how long to send it away. */
  readonly pace: PaceOf
}

export type PaceOf = (waiting: WaitingJob) => Pace

export interface JobReport {
  readonly etag: string
  /** As JSON; undefined when the client holds it. */
  readonly body: string | undefined
  readonly hasEnded: boolean
  /** Seconds after which to ask again; undefined when the job has ended, or the client has waited. */
  readonly seconds: number | undefined
  /** Everything so far is in it. */
  readonly live: boolean
}

export class JobService {
  readonly #ports: JobServicePorts

  constructor(ports: JobServicePorts) {
    this.#ports = ports
  }

  /** What is said of a job that was just begun. @throws ReplyError job_not_found, when there is no such run */
  async accepted(
    name: JobName,
    paceOf: PaceOf,
  ): Promise<{ readonly body: JobAccepted; readonly seconds: number | undefined }> {
    return this.#with(name, async (session, found) => {
      const pace = found.view.ended === undefined ? paceOf(this.#waiting(found)) : undefined
      if (pace !== undefined && pace.holdMs > 0) await changes(session, found, true, pace.holdMs)
      const view = findRun(session.state, name.run) ?? found.view
      const { session: id, run } = name
      const body = { id: formatJobId(name), session: id, run, state: jobState(view), cursor: this.#cursor(view.order) }
      return { body, seconds: view.ended === undefined ? pace?.seconds : undefined }
    })
  }

  /** The run that an id names. @throws ReplyError job_not_found, job_expired, unavailable; StorageError */
  async find(id: string): Promise<JobName & { readonly hasEnded: boolean }> {
    const name = parseJobId(id)
    if (name === undefined) throw new ReplyError('job_not_found')
    return this.#with(name, async (_, { view }) => ({ ...name, hasEnded: view.ended !== undefined }))
  }

  /**
   * Waits for as long as it is asked to: until something came after `since`, or is not as the client holds it; where
   * neither is given, until the job has ended.
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
        const now = await this.#after(session, found, query.since)
        if (!waits && pace === undefined && now.view.ended === undefined) {
          pace = query.pace(this.#waiting(now))
          until += pace.holdMs
        }
        const left = until - performance.now()
        const isReady = waits ? this.#isReady(now, query) : now.view.ended !== undefined
        if (signal?.aborted === true || left <= 0 || isReady) return this.#report(session, now, query, pace)
        // Who does not wait is held back for a moment at most, and only the end cuts that short.
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
      const { endedAt } = found.view
      if (endedAt !== undefined && now() - endedAt > retentionMs) throw new ReplyError('job_expired')
      return use(session, found)
    })
  }

  /** The run as it is once this node has read as far as the client has. */
  async #after(session: SessionReplica, found: FoundRun, since: Cursor | undefined): Promise<FoundRun> {
    const { stores } = this.#ports
    const position = since === undefined ? undefined : parseCursor(since)
    if (position?.epoch !== stores.log.epoch || position.seq <= session.state.seq) return found
    await catchUp(stores, session)
    return (await lookUpRun(stores, session, found.view.id)) ?? found
  }

  #isReady(found: FoundRun, { since, holds }: JobQuery): boolean {
    if (found.view.ended !== undefined) return true
    if (holds !== undefined && !holds(this.#etag(found))) return true
    const position = since === undefined ? undefined : parseCursor(since)
    if (position === undefined) return false
    return position.epoch !== this.#ports.stores.log.epoch || position.seq < lastOf(found)
  }

  async #report(
    session: SessionReplica,
    found: FoundRun,
    { since, holds }: JobQuery,
    pace: Pace | undefined,
  ): Promise<JobReport> {
    const { stores } = this.#ports
    const etag = this.#etag(found)
    const { view } = found
    const hasEnded = view.ended !== undefined
    const about = { etag, hasEnded, seconds: hasEnded ? undefined : pace?.seconds }
    if (holds?.(etag) === true) return { ...about, body: undefined, live: true }
    const page = await readRunPage(stores, session.id, found, session.state.seq, since)
    const id = formatJobId({ session: session.id, run: view.id })
    const result = runResult(session.id, view, (seq) => this.#cursor(seq))
    const job: Omit<Job, 'entries'> = {
      id,
      session: session.id,
      run: view.id,
      state: jobState(view),
      message: view.message,
      progress: runProgress(found),
      cursor: this.#cursor(page.position),
      live: !page.more,
      ...(page.reset ? { reset: true } : {}),
      ...(result === undefined ? {} : { result: { id, ...result } }),
    }
    // The entries are the very text that the log holds.
    const entries = new EntryMessage(new FrameHead(session.id, stores.log.epoch), page.shown, page.position).in('list')
    const body = `${JSON.stringify(job).slice(0, -1)},"entries":[${entries}]}`
    return { ...about, body, live: !page.more }
  }

  #waiting(found: FoundRun): WaitingJob {
    const { createdAt, ahead = 0 } = runProgress(found)
    return { state: jobState(found.view), ageMs: this.#ports.now() - createdAt, ahead }
  }

  /** Weak: the same entries may be merged in another way. */
  #etag(found: FoundRun): string {
    return `W/"${this.#cursor(lastOf(found))}"`
  }

  #cursor(seq: number): Cursor {
    return formatCursor(this.#ports.stores.log.epoch, seq)
  }
}

/** Resolves when the run may have changed, the time is over, or the signal says so. @param endOnly only its end counts */
function changes(
  session: SessionReplica,
  { view }: FoundRun,
  endOnly: boolean,
  ms: number,
  signal?: AbortSignal | undefined,
): Promise<void> {
  // It may have changed since it was looked at.
  const now = findRun(session.state, view.id)
  if (session.state.deleted !== undefined || (now !== undefined && now !== view)) return Promise.resolve()
  const subject = `run.${view.id}`
  // Not asked of the state: at every token that would have it folded.
  const concerns = (entry: Entry): boolean =>
    endOnly
      ? entry.subject === subject && entry.event.type === 'run.ended'
      : entry.subject === subject || entry.subject.startsWith('tool.') || entry.subject.startsWith('in.')
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer)
      unsubscribe()
      signal?.removeEventListener('abort', settle)
      resolve()
    }
    const timer = setTimeout(settle, ms)
    const unsubscribe = session.subscribe((entries) => {
      if (session.lost !== undefined || entries.some((entry) => concerns(entry) || isDeletion(entry))) settle()
    })
    signal?.addEventListener('abort', settle, { once: true })
  })
}
