// Health: whether the process lives (/healthz), and whether it should be sent clients (/readyz).
import type { TemplatedApp } from 'uWebSockets.js'
import { ReplyError } from '@parley/protocol'
import { HttpError } from './http/http-error.ts'
import { replyError, replyJson } from './http/http-reply.ts'

/** `away`: the log cannot be reached for long, and another node may do better. */
export type Readiness = 'ready' | 'stopping' | 'away'

const PROBLEMS = {
  stopping: new ReplyError('going_away'),
  away: new ReplyError('unavailable', 'The log cannot be reached from this node.', { retryAfterMs: 5_000 }),
} as const

/** @param readiness whether new clients are welcome */
export function serveHealth(app: TemplatedApp, readiness: () => Readiness): void {
  app.get('/healthz', (response) => replyJson(response, 200, { status: 'ok' }))
  app.get('/readyz', (response) => {
    const is = readiness()
    if (is === 'ready') replyJson(response, 200, { status: 'ready' })
    else replyError(response, PROBLEMS[is])
  })
  app.any('/*', (response) => replyError(response, new HttpError('not_found')))
}
