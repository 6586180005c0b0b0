// GET /v1/hello: what a WebSocket says in `welcome`, for clients that speak plain HTTP: whether the token is taken, who it
// speaks for, which node this is, what one may rely on, and which doors are to be preferred.
import { LIMITS, ReplyError, type WelcomeAnswer } from '@parley/protocol'
import type { Route } from '../http/route.ts'

export interface HelloOptions {
  readonly node: string
  /** Milliseconds after which a stream on which nothing was sent gets a sign of life. */
  readonly heartbeatMs: number
}

export function helloRoute({ node, heartbeatMs }: HelloOptions): Route {
  return {
    method: 'GET',
    path: '/v1/hello',
    async handle(exchange) {
      const { request, leaving } = exchange
      if (leaving !== undefined) throw new ReplyError('going_away', undefined, { retryAfterMs: leaving.withinMs })
      const { user, role, experiment } = request
      const answer: WelcomeAnswer = {
        type: 'welcome',
        connection: request.header('parley-connection') ?? '',
        user,
        role,
        node,
        heartbeatMs,
        limits: LIMITS,
        ...(experiment === undefined ? {} : { experiment }),
      }
      exchange.reply(200, answer)
    },
  }
}
