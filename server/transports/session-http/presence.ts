// POST …/presence: shows the others in a session a state of the connection that the request names, as the frame of that name
// does on a WebSocket. Who shows something is here for a while, also without reading.
import { Id, LIMITS, PresenceRequest, ReplyError } from '@parley/protocol'
import { HttpError } from '../http/http-error.ts'
import type { Route } from '../http/route.ts'
import { callerOf, connectionOf } from './caller.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

export function presenceRoute({ service, watching }: SessionHttpPorts): Route {
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
        throw new HttpError('bad_request', 'is needed: it says who is here', { path: 'parley-connection' })
      }
      await service.admit(session, caller, 'read')
      watching.show(session, caller, state)
      exchange.reply(204)
    },
  }
}
