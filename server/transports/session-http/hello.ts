// GET /v1/hello: the content of a WebSocket's `welcome` for clients of plain HTTP: the user of the access token, the
// node, its limits, and the transports that an experiment prefers.
import { LIMITS, ReplyError, type WelcomeAnswer } from '@parley/protocol'
import type { Route } from '../http/route.ts'

export interface HelloOptions {
  readonly node: string
  /** Milliseconds without output after which the server sends a heartbeat on a stream. */
  readonly heartbeatMs: number
}

export function helloRoute({ node, heartbeatMs }: HelloOptions): Route {
  return {
    method: 'GET',
    path: '/v1/hello',
    async handle(exchange) {
      const { request, draining } = exchange
      if (draining !== undefined) throw new ReplyError('going_away')
      const { user, role, experiment } = request
      const answer: WelcomeAnswer = {
        type: 'welcome',
        connection: request.header('parley-connection') ?? '',
        user,
        role,
        node,
        heartbeatMs,
        limits: LIMITS,
        time: Date.now(),
        ...(experiment === undefined ? {} : { experiment }),
      }
      exchange.reply(200, answer)
    },
  }
}
