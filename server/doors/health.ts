// Health: whether the process lives (/healthz), and whether it should be sent clients (/readyz).
import type { TemplatedApp } from 'uWebSockets.js'
import { replyJson, replyProblem } from './http/http-reply.ts'

/** `away`: the log cannot be reached for long, and another node may do better. */
export type Readiness = 'ready' | 'stopping' | 'away'

const PROBLEMS = {
  stopping: { status: 503, code: 'going_away', title: 'This node is about to stop.', retryAfter: 1 },
  away: { status: 503, code: 'unavailable', title: 'The log cannot be reached from this node.', retryAfter: 5 },
} as const

/** @param readiness whether new clients are welcome */
export function serveHealth(app: TemplatedApp, readiness: () => Readiness): void {
  app.get('/healthz', (response) => replyJson(response, 200, { status: 'ok' }))
  app.get('/readyz', (response) => {
    const is = readiness()
    if (is === 'ready') replyJson(response, 200, { status: 'ready' })
    else replyProblem(response, PROBLEMS[is])
  })
  app.any('/*', (response) =>
    replyProblem(response, { status: 404, code: 'not_found', title: 'There is nothing here.' }),
  )
}
