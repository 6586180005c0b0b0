// GET /v1/me: the user of the access token, with limits and remaining budgets, and what the server offers. A session's
// budget is for its members only.
import { Id, type MeAnswer, type Offers, type UserLimits } from '@parley/protocol'
import { z } from 'zod'
import type { SessionService } from '../../session/session-service.ts'
import type { Route } from '../http/route.ts'
import { callerOf } from './caller.ts'

export interface MeOptions {
  readonly service: Pick<SessionService, 'admit'>
  /** Undefined if nothing is limited. */
  readonly account?: AccountOf | undefined
  readonly offers: Offers
}

type AccountOf = (
  user: string,
  limits: UserLimits | undefined,
  session?: string,
) => Promise<Omit<MeAnswer, 'user' | 'name' | 'offers'>>

const MeQuery = z.object({ session: Id.optional() })

export function meRoute({ service, account, offers }: MeOptions): Route {
  return {
    method: 'GET',
    path: '/v1/me',
    async handle(exchange) {
      const { request } = exchange
      const { session } = request.queryAs(MeQuery)
      const { user, name, limits } = request
      if (session !== undefined) await service.admit(session, callerOf(request), 'read')
      const answer: MeAnswer = {
        user,
        ...(name === undefined ? {} : { name }),
        ...(await account?.(user, limits, session)),
        offers,
      }
      exchange.reply(200, answer, { 'Cache-Control': 'no-store' })
    },
  }
}
