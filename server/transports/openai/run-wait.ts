// Holds a request open until its run has ended, or has its first output.
import { ReplyError } from '@parley/protocol'
import { whenRunAnswers, whenRunEnds } from '../../session/run-end.ts'
import type { FoundRun } from '../../session/run-report.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { ActiveReaders } from '../feed/active-readers.ts'
import type { StreamingExchange } from '../http/http-exchange.ts'
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
  exchange: StreamingExchange,
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
    const found = await whenRunEnds(ports, session, run, exchange.request.user, waiting.signal)
    if (found === undefined) throw new ReplyError('run_not_found')
    if (exchange.closed) return undefined
    // The user may have been removed from the session during the wait.
    await ports.service.admit(session, callerOf(exchange.request), 'read')
    if (found.record.ended === undefined) throw new ReplyError('going_away')
    return found
  } finally {
    clearTimeout(timer)
    endLongPoll?.()
  }
}

/**
 * Milliseconds that the head of a stream waits for the run's first output. A provider that refuses the request does so sooner, and
 * the refusal then becomes an HTTP status. No client or proxy has a timeout this short.
 */
const HEAD_MS = 2_000

/**
 * @returns the run when it has an output or has ended, or after a short time; undefined if the client has disconnected
 * @throws ReplyError run_not_found, StorageError
 */
export async function untilRunAnswers(
  ports: RunWaitPorts,
  exchange: StreamingExchange,
  { session, run }: JobName,
): Promise<FoundRun | undefined> {
  const waiting = new AbortController()
  const timer = setTimeout(() => waiting.abort(), HEAD_MS)
  onAbort(exchange.request.signal, () => waiting.abort())
  try {
    const found = await whenRunAnswers(ports, session, run, exchange.request.user, waiting.signal)
    if (found === undefined) throw new ReplyError('run_not_found')
    return exchange.closed ? undefined : found
  } finally {
    clearTimeout(timer)
  }
}

/** A delay in the second half of the drain: the client would have to start again, and most runs end before. */
export function drainDelayMs(ms: number): number {
  return ms * (0.5 + 0.5 * Math.random())
}
