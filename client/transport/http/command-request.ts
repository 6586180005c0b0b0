// CommandRequest: commands as HTTP requests, and their answers as `ok` and `error` frames. Pure.
import type { Command, ErrorFrame, Ok, Tool } from '@parley/protocol'
import { given } from '../../given.ts'
import type { HttpAnswer } from './http-caller.ts'
import type { HttpFailure } from './http-failure.ts'

export interface CommandRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

export type PostedCommand = Exclude<Command, { type: 'attach' | 'detach' }>

export function sessionPath(session: string): string {
  return `/v1/sessions/${encodeURIComponent(session)}`
}

const ENDPOINTS: Readonly<Record<PostedCommand['type'], string>> = {
  send: 'messages',
  cancel: 'cancel',
  'tool.claim': 'claim',
  'tool.result': 'result',
  'tool.decide': 'decision',
  'tool.answer': 'answer',
}

/** @param tools of this client in the session: another node than the one that knows them may get the request */
export function requestOf(command: PostedCommand, tools: readonly Tool[] = []): CommandRequest {
  const { type, id, session, call, trace, ...body } = command as PostedCommand & { call?: string; trace?: string }
  const about = call === undefined ? '' : `/tools/${encodeURIComponent(call)}`
  const path = `${sessionPath(session)}${about}/${ENDPOINTS[type]}`
  const headers = { 'Idempotency-Key': id }
  if (type !== 'send') return { path, headers, body }
  return {
    path,
    // The feed delivers the answer's entries; the response only confirms the message.
    headers: { ...headers, Prefer: 'respond-async', ...given({ traceparent: trace }) },
    body: tools.length === 0 ? body : { ...body, tools: tools.map(({ name }) => name) },
  }
}

/** @param answer a successful one */
export function okOf(command: PostedCommand, answer: HttpAnswer): Ok {
  const body = (answer.body ?? {}) as Record<string, unknown>
  const { run, until } = body
  // The body describes the run as a job; the header has the position of the command itself.
  const cursor = answer.header('parley-cursor') ?? body.cursor
  const duplicate = body.duplicate === true || answer.header('idempotent-replayed') === 'true'
  return {
    type: 'ok',
    id: command.id,
    session: command.session,
    cursor: typeof cursor === 'string' ? cursor : undefined,
    message: command.type === 'send' ? command.id : undefined,
    run: typeof run === 'string' ? run : undefined,
    until: typeof until === 'number' ? until : undefined,
    duplicate: duplicate || undefined,
  }
}

export function errorOf(id: string, failure: HttpFailure): ErrorFrame {
  const { code, message, retryable, retryAfterMs } = failure
  return { type: 'error', id, code, message, retryable, retryAfterMs }
}

/** Whether the command ends a run. Its answer must not overtake the entries up to its cursor. */
export function isFinal(command: PostedCommand): boolean {
  return command.type === 'cancel' || (command.type === 'send' && command.policy === 'interrupt')
}
