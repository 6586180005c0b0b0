// whenRunEnds, whenRunAnswers: wait for the end of a run, or for its first output, at no cost while the run streams.
import type { Event } from '@parley/protocol'
import type { Entry } from '../store/ports/entry.ts'
import { lookUpRun } from './find-run.ts'
import type { FoundRun } from './run-report.ts'
import type { SessionCache } from './session-cache.ts'
import type { SessionReplica, SessionStores } from './session-replica.ts'
import { isOutsider } from './state/members.ts'
import type { RunRecord } from './state/run-record.ts'
import { isDeletion } from './state/tombstone.ts'

export interface RunEndPorts {
  readonly stores: SessionStores
  readonly sessions: SessionCache
}

/**
 * @param user the wait also ends when they leave the session; the caller then refuses them
 * @returns the ended run; the unfinished run if the wait ended early; undefined if the run does not exist
 * @throws StorageError, ReplyError `unavailable`, `session_deleted`
 */
export function whenRunEnds(
  ports: RunEndPorts,
  session: string,
  run: string,
  user: string,
  signal: AbortSignal,
): Promise<FoundRun | undefined> {
  return when(ports, session, run, user, signal, { of: () => false, at: () => false })
}

/** Like `whenRunEnds`, but also returns a run with an output or a call. */
export function whenRunAnswers(
  ports: RunEndPorts,
  session: string,
  run: string,
  user: string,
  signal: AbortSignal,
): Promise<FoundRun | undefined> {
  return when(ports, session, run, user, signal, {
    of: ({ output, calls }) => output !== undefined || calls.size > 0,
    at: ({ event }) => 'run' in event && event.run === run && ANSWERS.has(event.type),
  })
}

const ANSWERS: ReadonlySet<Event['type']> = new Set(['run.output', 'run.snapshot', 'tool.called'])

/** What else ends the wait: the state of the run, and the entry that leads to it. */
interface Earlier {
  of(record: RunRecord): boolean
  at(entry: Entry): boolean
}

async function when(
  { stores, sessions }: RunEndPorts,
  session: string,
  run: string,
  user: string,
  signal: AbortSignal,
  earlier: Earlier,
): Promise<FoundRun | undefined> {
  for (;;) {
    const result = await sessions.with(session, async (replica) => {
      const found = await lookUpRun(stores, replica, run)
      if (found === undefined || found.record.ended !== undefined || signal.aborted) return { found }
      if (earlier.of(found.record) || isOutsider(replica.state.members, user)) return { found }
      await nextChange(replica, run, signal, earlier)
      return undefined
    })
    if (result !== undefined) return result.found
  }
}

/** Resolves when the replica reads the end of the run, an earlier entry or a removal, or is lost, or when the signal aborts. */
function nextChange(session: SessionReplica, run: string, signal: AbortSignal, earlier: Earlier): Promise<void> {
  const subject = `run.${run}`
  return new Promise((resolve) => {
    const finish = (): void => {
      unsubscribe()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    // Checks the entries, not the state: reading the state would apply every token.
    const unsubscribe = session.subscribe((entries) => {
      const isReached = entries.some(
        (entry) =>
          (entry.subject === subject && entry.event.type === 'run.ended') ||
          earlier.at(entry) ||
          entry.event.type === 'member.left' ||
          isDeletion(entry),
      )
      if (isReached || session.lost !== undefined) finish()
    })
    signal.addEventListener('abort', finish, { once: true })
    // If the replica was lost before the subscription, no listener is called.
    if (session.lost !== undefined) finish()
  })
}
