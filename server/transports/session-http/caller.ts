// The caller of a command that was sent over plain HTTP. A request has no lasting connection, so a client may name one.
import { Door, Id, type Resume } from '@parley/protocol'
import type { Caller } from '../../session/commands/caller.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpRequest } from '../http/http-request.ts'

const CONNECTION_HEADER = 'parley-connection'
const DOOR_HEADER = 'parley-door'
const RESUME_HEADER = 'parley-resume'
const TRACE_HEADER = 'traceparent'

/** @param defaultDoor the transport if the client names none @throws HttpError bad_request */
export function callerOf(request: HttpRequest, defaultDoor?: Door): Caller {
  const { id, user, role, name, limits, credentials, experiment } = request
  const door = parseDoor(request.header(DOOR_HEADER)) ?? defaultDoor
  const trace = request.header(TRACE_HEADER)
  const who = {
    user,
    role,
    ...(name === undefined ? {} : { name }),
    ...(limits === undefined ? {} : { limits }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(door === undefined ? {} : { door }),
    ...(experiment === undefined ? {} : { variant: experiment.variant }),
    ...(trace === undefined ? {} : { trace }),
  }
  const connection = connectionOf(request)
  return connection === undefined ? { connection: id, ...who } : { connection, ...who, roams: true }
}

/** The connection that the client names, if any. @throws HttpError bad_request */
export function connectionOf(request: HttpRequest): string | undefined {
  const given = request.header(CONNECTION_HEADER)
  if (given === undefined) return undefined
  const parsed = Id.safeParse(given)
  if (!parsed.success) throw new HttpError('bad_request', parsed.error.issues[0]?.message, { path: CONNECTION_HEADER })
  return parsed.data
}

/**
 * How a client resumes: `Parley-Resume: sse; gap=1200` names its previous transport and the milliseconds since then.
 */
export function resumeOf(request: HttpRequest): Resume | undefined {
  const [, name, gap] = /^([a-z]+)(?:; *gap=(\d{1,8}))?$/.exec(request.header(RESUME_HEADER) ?? '') ?? []
  const door = parseDoor(name)
  if (door === undefined) return undefined
  return gap === undefined ? { door } : { door, gapMs: Number(gap) }
}

/** The value is only used in metrics, so an invalid one is ignored. */
function parseDoor(name: string | undefined): Door | undefined {
  const parsed = Door.safeParse(name)
  return parsed.success ? parsed.data : undefined
}
