// untilRunEnds: holds a request open until its run has ended.
import { ReplyError } from '@parley/protocol'
import { whenRunEnds } from '../../session/run-end.ts'
import type { FoundRun } from '../../session/run-report.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { ActiveReaders } from '../feed/active-readers.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { onAbort } from '../http/http-request.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'

export interface RunWaitPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly activeReaders?: ActiveReaders | undefined
}

/**
 * @returns undefined if the client has disconnected
 * @throws ReplyError run_not_found, going_away, forbidden; StorageError
 */
export async function untilRunEnds(
  ports: RunWaitPorts,
  exchange: HttpExchange,
  { session, run }: JobName,
): Promise<FoundRun | undefined> {
  const waiting = new AbortController()
  const endLongPoll = ports.activeReaders?.beginLongPoll(session)
  let timer: NodeJS.Timeout | undefined
  onAbort(exchange.request.signal, () => waiting.abort())
  exchange.onDrain(({ withinMs }) => {
    timer = setTimeout(() => waiting.abort(), drainDelayMs(withinMs))
  })
  try {
    const found = await whenRunEnds(ports, session, run, waiting.signal)
    if (found === undefined) throw new ReplyError('run_not_found')
    if (exchange.closed) return undefined
    if (found.record.ended === undefined) throw new ReplyError('going_away')
    // The user may have been removed from the session during the wait.
    await ports.service.admit(session, callerOf(exchange.request), 'read')
    return found
  } finally {
    clearTimeout(timer)
    endLongPoll?.()
  }
}

/** A delay in the second half of the drain: the client would have to start again, and most runs end before. */
export function drainDelayMs(ms: number): number {
  return ms * (0.5 + 0.5 * Math.random())
}
