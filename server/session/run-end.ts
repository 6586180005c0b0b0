// whenRunEnds: waits for the end of a run, at no cost while it streams.

import { lookUpRun } from './find-run.ts'
import type { FoundRun } from './run-report.ts'
import type { SessionCache } from './session-cache.ts'
import type { SessionReplica, SessionStores } from './session-replica.ts'
import { isDeletion } from './state/tombstone.ts'

export interface RunEndPorts {
  readonly stores: SessionStores
  readonly sessions: SessionCache
}

/**
 * @returns the run, ended; or as it is when the signal says that the wait is over; undefined when there is no such run
 * @throws StorageError, ReplyError `unavailable`, `session_deleted`
 */
export async function whenRunEnds(
  { stores, sessions }: RunEndPorts,
  session: string,
  run: string,
  signal: AbortSignal,
): Promise<FoundRun | undefined> {
  for (;;) {
    const step = await sessions.with(session, async (held) => {
      const found = await lookUpRun(stores, held, run)
      if (found === undefined || found.view.ended !== undefined || signal.aborted) return { found }
      await endAppended(held, run, signal)
      return undefined
    })
    if (step !== undefined) return step.found
  }
}

/** Resolves when the end of the run was read, the session was lost, or the signal was aborted. */
function endAppended(session: SessionReplica, run: string, signal: AbortSignal): Promise<void> {
  const subject = `run.${run}`
  return new Promise((resolve) => {
    const settle = (): void => {
      unsubscribe()
      signal.removeEventListener('abort', settle)
      resolve()
    }
    // Not asked of the state: at every token that would have it folded.
    const unsubscribe = session.subscribe((entries) => {
      const hasEnded = entries.some(
        (entry) => (entry.subject === subject && entry.event.type === 'run.ended') || isDeletion(entry),
      )
      if (hasEnded || session.lost !== undefined) settle()
    })
    signal.addEventListener('abort', settle, { once: true })
    // It may have been lost before one listened, and then nothing more is told.
    if (session.lost !== undefined) settle()
  })
}
