// Who sends a command over plain HTTP. A request has no connection that lasts, so a client may name one of its own.
import { Id } from '@parley/protocol'
import type { Caller } from '../../session/session-service.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpRequest } from '../http/http-request.ts'

const HEADER = 'parley-connection'

/** @throws HttpError bad_request */
export function callerOf(request: HttpRequest): Caller {
  const { id, user, role, name } = request
  const who = { user, role, ...(name === undefined ? {} : { name }) }
  const connection = connectionOf(request)
  return connection === undefined ? { connection: id, ...who } : { connection, ...who, roams: true }
}

/** The connection that the client names; undefined where it names none. @throws HttpError bad_request */
export function connectionOf(request: HttpRequest): string | undefined {
  const given = request.header(HEADER)
  if (given === undefined) return undefined
  const parsed = Id.safeParse(given)
  if (!parsed.success) throw new HttpError('bad_request', parsed.error.issues[0]?.message, { path: HEADER })
  return parsed.data
}
