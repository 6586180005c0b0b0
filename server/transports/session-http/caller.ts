// Who sends a command over plain HTTP. A request has no connection that lasts, so a client may name one of its own.
import { Door, Id, type Resume } from '@parley/protocol'
import type { Caller } from '../../session/commands/caller.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpRequest } from '../http/http-request.ts'

const HEADER = 'parley-connection'
const DOOR = 'parley-door'
const RESUME = 'parley-resume'
const TRACE = 'traceparent'

/** @param otherwise the door, where the client names none @throws HttpError bad_request */
export function callerOf(request: HttpRequest, otherwise?: Door): Caller {
  const { id, user, role, name, limits, experiment } = request
  const door = doorOf(request.header(DOOR)) ?? otherwise
  const trace = request.header(TRACE)
  const who = {
    user,
    role,
    ...(name === undefined ? {} : { name }),
    ...(limits === undefined ? {} : { limits }),
    ...(door === undefined ? {} : { door }),
    ...(experiment === undefined ? {} : { variant: experiment.variant }),
    ...(trace === undefined ? {} : { trace }),
  }
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

/** What a client tells that reads on after a connection that it lost or left: `Parley-Resume: sse; gap=1200`. */
export function resumeOf(request: HttpRequest): Resume | undefined {
  const [, name, gap] = /^([a-z]+)(?:; *gap=(\d{1,8}))?$/.exec(request.header(RESUME) ?? '') ?? []
  const door = doorOf(name)
  if (door === undefined) return undefined
  return gap === undefined ? { door } : { door, gapMs: Number(gap) }
}

/** It is for metrics alone: what is not understood is left out. */
function doorOf(name: string | undefined): Door | undefined {
  const parsed = Door.safeParse(name)
  return parsed.success ? parsed.data : undefined
}
