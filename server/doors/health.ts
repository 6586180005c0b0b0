// Health: whether the process lives (/healthz), and whether it should be sent clients (/readyz).
import type { TemplatedApp } from 'uWebSockets.js'
import { replyJson, replyProblem } from './http-reply.ts'

/** @param ready whether new clients are welcome */
export function serveHealth(app: TemplatedApp, ready: () => boolean): void {
  app.get('/healthz', (response) => replyJson(response, 200, { status: 'ok' }))
  app.get('/readyz', (response) => {
    if (ready()) replyJson(response, 200, { status: 'ready' })
    else
      replyProblem(response, { status: 503, code: 'going_away', title: 'This node is about to stop.', retryAfter: 1 })
  })
  app.any('/*', (response) =>
    replyProblem(response, { status: 404, code: 'not_found', title: 'There is nothing here.' }),
  )
}
