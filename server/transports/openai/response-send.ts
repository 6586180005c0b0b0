// Sends the message of a request for a response. A request that continues the last response of a session becomes the
// next message there. Only one can: its command id is derived from that response. A request that names a session (`conversation`)
// becomes its next message. Every other request gets a new session and carries the conversation along as context.
import { type Context, makeId, ReplyError, type Send } from '@parley/protocol'
import type { Caller } from '../../session/commands/caller.ts'
import type { SessionService } from '../../session/session-service.ts'
import { commandIdOf, digest, idempotencyKeyOf } from '../http/command-id.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { conversationUpTo } from './conversation.ts'
import { resolveItems } from './item-references.ts'
import { resolveModel } from './model-routes.ts'
import { RESPONSE_NOT_FOUND } from './openai-error.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { checkOptions } from './request-fields.ts'
import { type FoundResponse, lookUpResponse, withWholeConversation } from './response-lookup.ts'
import { asMetadata, headOf, messageOf } from './response-object.ts'
import {
  conversationIn,
  RESPONSE_FIELDS,
  type ResolvedRequest,
  type ResponseRequest,
  responseMessage,
} from './response-request.ts'

/** @returns the run that makes the response @throws ReplyError, HttpError bad_request */
export async function sendResponse(ports: OpenAiPorts, request: HttpRequest, body: ResponseRequest): Promise<JobName> {
  const model = resolveModel(ports.models, body.model)
  const key = idempotencyKeyOf(request)
  const before = await previousOf(ports, request, body)
  const resolved = { ...body, input: await resolveItems(ports, request, body.input) }
  // A response that is not stored does not become part of the session that it continues, nor continues in the same session.
  const isPart = before !== undefined && body.store !== false && headOf(before.name, before.found).isStored
  const next = !isPart ? undefined : await sendNext(ports, request, { body: resolved, model, before, key })
  if (next !== undefined) return next
  const conversation = conversationIn(body)
  if (conversation !== undefined) {
    const { content, context } = responseMessage(resolved, [], (file) => ports.acceptsFile(model, file))
    const id = commandIdOf(request)
    const command = { type: 'send' as const, id, session: conversation, content, model }
    return sendOwn(ports, request, { ...command, context: withMetadata(context, asMetadata(body)) })
  }
  const isWhole = body.truncation !== 'auto'
  const earlier = before === undefined ? [] : conversationUpTo(await withWholeConversation(ports, before), isWhole)
  const { content, context } = responseMessage(resolved, earlier, (file) => ports.acceptsFile(model, file))
  const own: Send = {
    type: 'send',
    id: commandIdOf(request),
    session: key === undefined ? makeId('resp') : `resp_${digest(request.user, key)}`,
    content,
    model,
    context: withMetadata(context, asMetadata(body)),
  }
  return sendOwn(ports, request, own, body.store !== false)
}

/** The id of the command that continues from a run: only one can. */
export function nextId(run: string): string {
  return `next_${digest(run)}`
}

interface Next {
  readonly body: ResolvedRequest
  readonly model: string
  readonly before: FoundResponse
  readonly key: string | undefined
}

/** @returns undefined if another request has already continued from that response */
async function sendNext(
  ports: OpenAiPorts,
  request: HttpRequest,
  { body, model, before, key }: Next,
): Promise<JobName | undefined> {
  const { session, run } = before.name
  const id = nextId(run)
  const by = key === undefined ? makeId('by') : digest(request.user, key)
  const first = messageOf(before.found, id)
  const isFree = first === undefined ? isLast(before) : first.context?.metadata?.by === by
  if (!isFree) return undefined
  const { content, context } = responseMessage(body, [], (file) => ports.acceptsFile(model, file))
  const metadata = { ...asMetadata(body), by }
  // Excludes messages that others send to the session in the meantime.
  const parent = before.found.record.message
  const command: Send = { type: 'send', id, session, content, model, parent, context: withMetadata(context, metadata) }
  try {
    return await send(ports, request, command)
  } catch (error) {
    if (!(error instanceof ReplyError && error.code === 'command_id_reused')) throw error
    // Another request was faster, or this is the same key with another body.
    const again = await lookUpResponse(ports, request, body.previous_response_id ?? '')
    const now = again === undefined ? undefined : messageOf(again.found, id)
    if (now?.context?.metadata?.by === by) throw error
    return undefined
  }
}

/**
 * Sends a message whose id no other request has, except one with the same key.
 * @param isStored whether its session outlives the response
 */
function sendOwn(ports: OpenAiPorts, request: HttpRequest, command: Send, isStored = true): Promise<JobName> {
  // With a key, the client finds the run again.
  const hasKey = idempotencyKeyOf(request) !== undefined
  const service = { send: (_: Send, caller: Caller) => ports.abandoned.send(command, caller, isStored) }
  return send(hasKey ? ports : { ...ports, service }, request, command)
}

/** @throws ReplyError, HttpError bad_request */
export async function send(
  { service, unsupported }: Pick<OpenAiPorts, 'unsupported'> & { readonly service: Pick<SessionService, 'send'> },
  request: HttpRequest,
  command: Send,
): Promise<JobName> {
  const { model = '', context } = command
  checkOptions(model, unsupported(model, context?.sampling ?? {}), RESPONSE_FIELDS)
  // Every message has a run.
  const { run = '' } = await service.send(command, callerOf(request, 'openai'))
  return { session: command.session, run }
}

/** @throws HttpError bad_request if it does not exist */
export async function previousOf(
  ports: OpenAiPorts,
  request: HttpRequest,
  { previous_response_id: id }: Pick<ResponseRequest, 'previous_response_id'>,
): Promise<FoundResponse | undefined> {
  if (id === undefined || id === null) return undefined
  const before = await lookUpResponse(ports, request, id)
  if (before !== undefined) return before
  throw new HttpError('bad_request', RESPONSE_NOT_FOUND, { path: 'previous_response_id' })
}

function isLast({ found: { state, record } }: FoundResponse): boolean {
  return state.messages.at(-1)?.event.id === record.message
}

export function withMetadata(context: Context, metadata: NonNullable<Context['metadata']>): Context {
  return Object.keys(metadata).length === 0 ? context : { ...context, metadata }
}
