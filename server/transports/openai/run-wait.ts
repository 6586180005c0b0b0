// untilRunEnds: for a client that stays on the line until its run has ended.
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

/** @returns undefined when the client has left @throws ReplyError run_not_found, going_away, forbidden; StorageError */
export async function untilRunEnds(
  ports: RunWaitPorts,
  exchange: HttpExchange,
  { session, run }: JobName,
): Promise<FoundRun | undefined> {
  const over = new AbortController()
  const hangUp = ports.activeReaders?.wait(session)
  let timer: NodeJS.Timeout | undefined
  onAbort(exchange.request.signal, () => over.abort())
  exchange.onLeaving(({ withinMs }) => {
    timer = setTimeout(() => over.abort(), lateWithin(withinMs))
  })
  try {
    const found = await whenRunEnds(ports, session, run, over.signal)
    if (found === undefined) throw new ReplyError('run_not_found')
    if (exchange.over) return undefined
    if (found.view.ended === undefined) throw new ReplyError('going_away')
    // Who was removed meanwhile has no business with it any more.
    await ports.service.admit(session, callerOf(exchange.request), 'read')
    return found
  } finally {
    clearTimeout(timer)
    hangUp?.()
  }
}

/** When to send somebody away who would have to begin anew: most are through by then. */
export function lateWithin(ms: number): number {
  return ms * (0.5 + 0.5 * Math.random())
}
