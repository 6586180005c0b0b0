// Health: whether the process lives (/healthz), and whether it should be sent clients (/readyz).
import type { HttpResponse, TemplatedApp } from 'uWebSockets.js'
import { ReplyError } from '@parley/protocol'
import { HttpError } from './http-error.ts'
import { replyError, replyJson } from './http-reply.ts'

/** `away`: the log cannot be reached for long, and another node may do better. */
export type Readiness = 'ready' | 'stopping' | 'away'

const PROBLEMS = {
  stopping: new ReplyError('going_away'),
  away: new ReplyError('unavailable', 'The log cannot be reached from this node.', { retryAfterMs: 5_000 }),
} as const

const METHODS = 'GET, HEAD'

/** @param readiness whether new clients are welcome */
export function serveHealth(app: TemplatedApp, readiness: () => Readiness): void {
  serve(app, '/healthz', (response, bodiless) => tell(response, 'ok', bodiless))
  serve(app, '/readyz', (response, bodiless) => {
    const is = readiness()
    if (is === 'ready') tell(response, 'ready', bodiless)
    else replyError(response, PROBLEMS[is], bodiless)
  })
  app.any('/*', (response) => replyError(response, new HttpError('not_found')))
}

function serve(app: TemplatedApp, path: string, answer: (response: HttpResponse, bodiless: boolean) => void): void {
  app.get(path, (response) => answer(response, false))
  // Balancers like to ask so.
  app.head(path, (response) => answer(response, true))
  app.any(path, (response) => {
    replyError(response, new HttpError('method_not_allowed', undefined, { headers: { Allow: METHODS } }))
  })
}

function tell(response: HttpResponse, status: 'ok' | 'ready', bodiless: boolean): void {
  replyJson(response, 200, { status }, {}, bodiless)
}
