// Routes of a session's members, invitations, roles and title. Every change is an entry of the log and takes effect at
// once, for later commands as for clients that are reading.
import { Id, InviteRequest, JoinRequest, type MembersAnswer, RoleRequest, TitleRequest } from '@parley/protocol'
import { z } from 'zod'
import { catchUp } from '../../session/catch-up.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import type { Route } from '../http/route.ts'
import { callerOf } from './caller.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

const MEMBER = '/members/:user'
const User = z.string().min(1).max(256)

export function memberRoutes({ service, stores, sessions }: SessionHttpPorts): readonly Route[] {
  return [
    route('PATCH', '', async (exchange, session) => {
      const { request } = exchange
      const { title } = await request.json(TitleRequest)
      await service.rename(session, callerOf(request), title)
      exchange.reply(204)
    }),
    route('GET', '/members', async (exchange, id) => {
      await sessions.with(id, async (session) => {
        await catchUp(stores, session)
        await service.admit(id, callerOf(exchange.request), 'read')
        const { all, invites } = session.state.members
        const answer: MembersAnswer = {
          members: [...all].map(([user, member]) => ({ user, ...member })),
          invites: [...invites]
            .filter(([, { until }]) => until > Date.now())
            .map(([invite, { role, until }]) => ({ invite, role, until })),
        }
        exchange.reply(200, answer)
      })
    }),
    route('POST', '/members', async (exchange, session) => {
      const { request } = exchange
      const { token } = await request.json(JoinRequest)
      exchange.reply(200, { session, role: await service.join(session, callerOf(request), token) })
    }),
    route('PUT', MEMBER, async (exchange, session) => {
      const { request } = exchange
      const user = request.paramAs('user', User)
      const { role } = await request.json(RoleRequest)
      await service.giveRole(session, callerOf(request), user, role)
      exchange.reply(204)
    }),
    route('DELETE', MEMBER, async (exchange, session) => {
      const { request } = exchange
      await service.removeMember(session, callerOf(request), request.paramAs('user', User))
      exchange.reply(204)
    }),
    route('POST', '/invites', async (exchange, session) => {
      const { request } = exchange
      const { role, ttl } = await request.json(InviteRequest)
      exchange.reply(201, await service.invite(session, callerOf(request), role, ttl * 1000))
    }),
    route('DELETE', '/invites/:invite', async (exchange, session) => {
      const { request } = exchange
      await service.revokeInvite(session, callerOf(request), request.paramAs('invite', Id))
      exchange.reply(204)
    }),
  ]
}

/** @param path below the session's */
function route(
  method: Route['method'],
  path: string,
  handle: (exchange: HttpExchange, session: string) => Promise<void>,
): Route {
  return {
    method,
    path: `/v1/sessions/:session${path}`,
    handle: (exchange) => handle(exchange, exchange.request.paramAs('session', Id)),
  }
}
