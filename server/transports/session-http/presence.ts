// POST …/presence: shows a state of the named connection to the others in a session, like the WebSocket's frame
// `presence`. The client is present for a while afterwards, even if it does not read.
import { Id, LIMITS, PresenceRequest, ReplyError } from '@parley/protocol'
import { HttpError } from '../http/http-error.ts'
import type { Route } from '../http/route.ts'
import { callerOf, connectionOf } from './caller.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

export function presenceRoute({ service, httpPresence }: SessionHttpPorts): Route {
  return {
    method: 'POST',
    path: '/v1/sessions/:session/presence',
    async handle(exchange) {
      const { request } = exchange
      const session = request.paramAs('session', Id)
      const caller = callerOf(request)
      const { state } = await request.json(PresenceRequest)
      if (Buffer.byteLength(JSON.stringify(state)) > LIMITS.presenceBytes) throw new ReplyError('too_large')
      if (connectionOf(request) === undefined) {
        throw new HttpError('bad_request', 'This header is required: it identifies the client.', {
          path: 'parley-connection',
        })
      }
      await service.admit(session, caller, 'read')
      httpPresence.show(session, caller, state)
      exchange.reply(204)
    },
  }
}
