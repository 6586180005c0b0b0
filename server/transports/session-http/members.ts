// The members of a session: who is in it, invitations, roles, and its title. Every change is an entry of the log, and holds
// at once: for commands that come after it, and for those who are reading.
import { Id, InviteRequest, JoinRequest, type MembersAnswer, RoleRequest, TitleRequest } from '@parley/protocol'
import { z } from 'zod'
import { catchUp } from '../../session/find-run.ts'
import type { Route } from '../http/route.ts'
import { callerOf } from './caller.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

const SESSION = '/v1/sessions/:session'
const MEMBER = `${SESSION}/members/:user`
const User = z.string().min(1).max(256)

export function memberRoutes({ service, stores, sessions }: SessionHttpPorts): readonly Route[] {
  return [
    {
      method: 'PATCH',
      path: SESSION,
      async handle(exchange) {
        const { request } = exchange
        const session = request.paramAs('session', Id)
        const { title } = await request.json(TitleRequest)
        await service.rename(session, callerOf(request), title)
        exchange.reply(204)
      },
    },
    {
      method: 'GET',
      path: `${SESSION}/members`,
      async handle(exchange) {
        const { request } = exchange
        const id = request.paramAs('session', Id)
        await service.admit(id, callerOf(request), 'read')
        await sessions.with(id, async (session) => {
          await catchUp(stores, session)
          const { all, invites } = session.state.members
          const answer: MembersAnswer = {
            members: [...all].map(([user, member]) => ({ user, ...member })),
            invites: [...invites]
              .filter(([, { until }]) => until > Date.now())
              .map(([invite, { role, until }]) => ({ invite, role, until })),
          }
          exchange.reply(200, answer)
        })
      },
    },
    {
      method: 'POST',
      path: `${SESSION}/members`,
      async handle(exchange) {
        const { request } = exchange
        const session = request.paramAs('session', Id)
        const { token } = await request.json(JoinRequest)
        exchange.reply(200, { session, role: await service.join(session, callerOf(request), token) })
      },
    },
    {
      method: 'PUT',
      path: MEMBER,
      async handle(exchange) {
        const { request } = exchange
        const session = request.paramAs('session', Id)
        const user = request.paramAs('user', User)
        const { role } = await request.json(RoleRequest)
        await service.giveRole(session, callerOf(request), user, role)
        exchange.reply(204)
      },
    },
    {
      method: 'DELETE',
      path: MEMBER,
      async handle(exchange) {
        const { request } = exchange
        await service.removeMember(request.paramAs('session', Id), callerOf(request), request.paramAs('user', User))
        exchange.reply(204)
      },
    },
    {
      method: 'POST',
      path: `${SESSION}/invites`,
      async handle(exchange) {
        const { request } = exchange
        const session = request.paramAs('session', Id)
        const { role, ttl } = await request.json(InviteRequest)
        exchange.reply(201, await service.invite(session, callerOf(request), role, ttl * 1000))
      },
    },
    {
      method: 'DELETE',
      path: `${SESSION}/invites/:invite`,
      async handle(exchange) {
        const { request } = exchange
        const session = request.paramAs('session', Id)
        await service.revokeInvite(session, callerOf(request), request.paramAs('invite', Id))
        exchange.reply(204)
      },
    },
  ]
}
