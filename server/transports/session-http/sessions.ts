// Routes that list the caller's sessions, in pages, and that delete a session.
import { Id, type SessionsAnswer } from '@parley/protocol'
import { z } from 'zod'
import type { ListPosition } from '../../store/ports/session-directory.ts'
import { commandIdOf } from '../http/command-id.ts'
import { HttpError } from '../http/http-error.ts'
import type { Route } from '../http/route.ts'
import { callerOf } from './caller.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

const LIMIT = 50
const LIMIT_MAX = 200

const Query = z.object({
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a number')
    .transform(Number)
    .pipe(z.int().min(1).max(LIMIT_MAX))
    .optional(),
  before: z.string().max(300).optional(),
})

const Place = z.tuple([z.int().min(0), Id])

export function sessionsRoutes({ sessionAdmin }: SessionHttpPorts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/sessions',
      async handle(exchange) {
        const { request } = exchange
        const { limit = LIMIT, before } = request.queryAs(Query)
        const place = before === undefined ? undefined : readPlace(before)
        // One more than requested, to know whether there is another page.
        const found = await sessionAdmin.list(request.user, limit + 1, place)
        const sessions = found.slice(0, limit)
        const last = sessions.at(-1)
        const more = found.length > limit && last !== undefined ? { next: writePlace(last) } : {}
        const answer: SessionsAnswer = { sessions: [...sessions], ...more }
        exchange.reply(200, answer, { 'Cache-Control': 'private, no-store' })
      },
    },
    {
      method: 'DELETE',
      path: '/v1/sessions/:session',
      async handle(exchange) {
        const { request } = exchange
        await sessionAdmin.delete(request.paramAs('session', Id), callerOf(request), commandIdOf(request))
        exchange.reply(204)
      },
    },
  ]
}

function writePlace({ updatedAt, session }: ListPosition): string {
  return Buffer.from(JSON.stringify([updatedAt, session])).toString('base64url')
}

/** @throws HttpError bad_request */
function readPlace(text: string): ListPosition {
  try {
    const [updatedAt, session] = Place.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
    return { updatedAt, session }
  } catch {
    throw new HttpError('bad_request', 'Use the value of `next` from a previous page.', { path: 'query.before' })
  }
}
