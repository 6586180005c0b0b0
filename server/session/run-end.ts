// whenRunEnds: waits for the end of a run at no cost while the run streams.
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
 * @returns the ended run; the unfinished run if the signal aborts the wait; undefined if the run does not exist
 * @throws StorageError, ReplyError `unavailable`, `session_deleted`
 */
export async function whenRunEnds(
  { stores, sessions }: RunEndPorts,
  session: string,
  run: string,
  signal: AbortSignal,
): Promise<FoundRun | undefined> {
  for (;;) {
    const result = await sessions.with(session, async (replica) => {
      const found = await lookUpRun(stores, replica, run)
      if (found === undefined || found.record.ended !== undefined || signal.aborted) return { found }
      await nextEnd(replica, run, signal)
      return undefined
    })
    if (result !== undefined) return result.found
  }
}

/** Resolves when the replica reads the end of the run or is lost, or when the signal aborts. */
function nextEnd(session: SessionReplica, run: string, signal: AbortSignal): Promise<void> {
  const subject = `run.${run}`
  return new Promise((resolve) => {
    const finish = (): void => {
      unsubscribe()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    // Checks the entries, not the state: reading the state would apply every token.
    const unsubscribe = session.subscribe((entries) => {
      const hasEnded = entries.some(
        (entry) => (entry.subject === subject && entry.event.type === 'run.ended') || isDeletion(entry),
      )
      if (hasEnded || session.lost !== undefined) finish()
    })
    signal.addEventListener('abort', finish, { once: true })
    // If the replica was lost before the subscription, no listener is called.
    if (session.lost !== undefined) finish()
  })
}
