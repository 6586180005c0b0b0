// What a request for a response says, as a message of a session. One that goes on from the last response of a session is the
// next message there, and only one can be: its command is named after that response. All others have a session of their own,
// and bring the conversation along.
import { type Context, makeId, ReplyError, type Send } from '@parley/protocol'
import { commandIdOf, digest, idempotencyKeyOf } from '../http/command-id.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { conversationUpTo } from './conversation.ts'
import { modelMeant } from './model-routes.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { type FoundResponse, lookUpResponse } from './response-lookup.ts'
import { asMetadata, messageOf } from './response-object.ts'
import { type ResponseRequest, responseMessage } from './response-request.ts'

/** @returns the run that makes the response @throws ReplyError, HttpError bad_request */
export async function sendResponse(ports: OpenAiPorts, request: HttpRequest, asked: ResponseRequest): Promise<JobName> {
  const model = modelMeant(ports.models, asked.model)
  const key = idempotencyKeyOf(request)
  const before = await previousOf(ports, request, asked)
  const next = before === undefined ? undefined : await sendNext(ports, request, { asked, model, before, key })
  if (next !== undefined) return next
  const { content, context } = responseMessage(asked, before === undefined ? [] : conversationUpTo(before.found))
  return send(ports, request, {
    type: 'send',
    id: commandIdOf(request),
    session: key === undefined ? makeId('resp') : `resp_${digest(request.user, key)}`,
    content,
    model,
    context: withMetadata(context, asMetadata(asked)),
  })
}

interface Next {
  readonly asked: ResponseRequest
  readonly model: string
  readonly before: FoundResponse
  readonly key: string | undefined
}

/** @returns undefined where somebody else has gone on from there */
async function sendNext(
  ports: OpenAiPorts,
  request: HttpRequest,
  { asked, model, before, key }: Next,
): Promise<JobName | undefined> {
  const { session, run } = before.name
  const id = `next_${digest(run)}`
  const by = key === undefined ? makeId('by') : digest(request.user, key)
  const first = messageOf(before.found, id)
  const isFree = first === undefined ? isLast(before) : first.context?.metadata?.by === by
  if (!isFree) return undefined
  const { content, context } = responseMessage(asked, [])
  const metadata = { ...asMetadata(asked), by }
  // What somebody else writes there meanwhile is no part of it.
  const parent = before.found.view.message
  const command: Send = { type: 'send', id, session, content, model, parent, context: withMetadata(context, metadata) }
  try {
    return await send(ports, request, command)
  } catch (error) {
    if (!(error instanceof ReplyError && error.code === 'command_id_reused')) throw error
    // Somebody was faster; or it is the same key with another body.
    const again = await lookUpResponse(ports, request, asked.previous_response_id ?? '')
    const now = again === undefined ? undefined : messageOf(again.found, id)
    if (now?.context?.metadata?.by === by) throw error
    return undefined
  }
}

async function send({ service }: OpenAiPorts, request: HttpRequest, command: Send): Promise<JobName> {
  // A message always has a run.
  const { run = '' } = await service.send(command, callerOf(request, 'openai'))
  return { session: command.session, run }
}

async function previousOf(
  ports: OpenAiPorts,
  request: HttpRequest,
  { previous_response_id: id }: ResponseRequest,
): Promise<FoundResponse | undefined> {
  if (id === undefined || id === null) return undefined
  const before = await lookUpResponse(ports, request, id)
  if (before !== undefined) return before
  throw new HttpError('bad_request', 'There is no such response.', { path: 'previous_response_id' })
}

function isLast({ found: { state, view } }: FoundResponse): boolean {
  return state.messages.at(-1)?.event.id === view.message
}

function withMetadata(context: Context, metadata: NonNullable<Context['metadata']>): Context {
  return Object.keys(metadata).length === 0 ? context : { ...context, metadata }
}
