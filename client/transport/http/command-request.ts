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

/** @param tools of this client in the session: another node than the one that knows them may get the request */
export function requestOf(command: PostedCommand, tools: readonly Tool[] = []): CommandRequest {
  const key = { 'Idempotency-Key': command.id }
  const at = sessionPath(command.session)
  switch (command.type) {
    case 'send': {
      const { type: _, id: __, session: ___, trace, ...content } = command
      const body = tools.length === 0 ? content : { ...content, tools: tools.map(({ name }) => name) }
      // The feed delivers the answer's entries; the response only confirms the message.
      return {
        path: `${at}/messages`,
        headers: { ...key, Prefer: 'respond-async', ...given({ traceparent: trace }) },
        body,
      }
    }
    case 'cancel': {
      const { type: _, id: __, session: ___, ...body } = command
      return { path: `${at}/cancel`, headers: key, body }
    }
    case 'tool.claim':
      return { path: `${at}/tools/${encodeURIComponent(command.call)}/claim`, headers: key, body: {} }
    case 'tool.result': {
      const { type: _, id: __, session: ___, call, ...body } = command
      return { path: `${at}/tools/${encodeURIComponent(call)}/result`, headers: key, body }
    }
    case 'tool.decide': {
      const { type: _, id: __, session: ___, call, ...body } = command
      return { path: `${at}/tools/${encodeURIComponent(call)}/decision`, headers: key, body }
    }
    case 'tool.answer': {
      const { type: _, id: __, session: ___, call, ...body } = command
      return { path: `${at}/tools/${encodeURIComponent(call)}/answer`, headers: key, body }
    }
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
