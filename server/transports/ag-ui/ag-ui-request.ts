// AgUiRequest: the body of an AG-UI run, and the command that it stands for. A thread is a session, and the id of a run is the id of
// its command. Clients repeat the whole conversation with every run: only what follows its last answer is new. Pure.
import { type Context, type ContextMessage, Id, JsonSchema, type Part, stringifyJson, ToolName } from '@parley/protocol'
import { z } from 'zod'
import { CallArguments } from '../openai/call-arguments.ts'

const Content = z.union([
  z.string(),
  z.array(
    z.looseObject({
      type: z.string(),
      text: z.string().optional(),
      mimeType: z.string().optional(),
      url: z.string().optional(),
      data: z.string().optional(),
      filename: z.string().optional(),
      source: z
        .looseObject({ type: z.string(), value: z.string().optional(), mimeType: z.string().optional() })
        .optional(),
    }),
  ),
])

const Message = z.looseObject({
  id: z.string().optional(),
  role: z.string(),
  content: Content.nullish(),
  toolCallId: z.string().optional(),
  error: z.string().nullish(),
  toolCalls: z
    .array(z.looseObject({ id: z.string(), function: z.looseObject({ name: z.string(), arguments: z.string() }) }))
    .nullish(),
})
type Message = z.infer<typeof Message>

export const AgUiRequest = z.looseObject({
  threadId: Id,
  runId: Id,
  protocolVersion: z.string().nullish(),
  messages: z.array(Message).max(1_024).default([]),
  tools: z
    .array(
      z.looseObject({
        name: ToolName,
        description: z.string().nullish(),
        parameters: JsonSchema.nullish(),
      }),
    )
    .max(128)
    .default([]),
  context: z.array(z.looseObject({ description: z.string(), value: z.string() })).default([]),
  state: z.unknown().optional(),
  resume: z
    .array(
      z.looseObject({
        interruptId: z.string(),
        status: z.enum(['resolved', 'cancelled']),
        payload: z.unknown().optional(),
      }),
    )
    .nullish(),
})
export type AgUiRequest = z.infer<typeof AgUiRequest>

/** Whether the client knows what AG-UI 1.0 added. Earlier ones fail for it. */
export function isCurrent({ protocolVersion }: AgUiRequest): boolean {
  return /^[1-9]/.test(protocolVersion ?? '')
}

/**
 * The new messages as a message of the session. Texts of the user are its content, results of client tools its context.
 * @param isNew the session has no message yet: all earlier messages are its history
 * @throws HttpError too_large
 */
export function messageOf(request: AgUiRequest, isNew: boolean): { content: Part[]; context: Context } {
  const { messages, tools, context } = request
  const inputs = new CallArguments()
  const begin = messages.findLastIndex(({ role }) => role === 'assistant') + 1
  const fresh = messages.slice(begin)
  const content = fresh.flatMap((message) => (message.role === 'user' ? partsOf(message) : []))
  const history = [...(isNew ? messages.slice(0, begin) : []), ...fresh].flatMap((message, at) =>
    message.role === 'user' && at >= (isNew ? begin : 0) ? [] : historyOf(message, inputs),
  )
  const instructions = [
    ...messages.flatMap((message) => (isInstruction(message) ? [textOf(message)] : [])),
    ...context.map(({ description, value }) => `${description}:\n${value}`),
  ].join('\n\n')
  return {
    content,
    context: {
      ...(history.length === 0 ? {} : { history }),
      ...(instructions === '' ? {} : { instructions }),
      ...(tools.length === 0 ? {} : { tools: tools.map(toolOf) }),
    },
  }
}

function toolOf({ name, description, parameters }: AgUiRequest['tools'][number]) {
  return {
    name,
    ...(typeof description === 'string' ? { description } : {}),
    ...(parameters === undefined || parameters === null ? {} : { inputSchema: parameters }),
  }
}

function isInstruction({ role }: Message): boolean {
  return role === 'system' || role === 'developer'
}

function historyOf(message: Message, inputs: CallArguments): ContextMessage[] {
  if (message.role === 'user') return [{ role: 'user', content: partsOf(message) }]
  if (message.role === 'tool') {
    const output = message.error ? { error: message.error } : textOf(message)
    return message.toolCallId === undefined ? [] : [{ role: 'tool', call: message.toolCallId, output }]
  }
  if (message.role !== 'assistant') return []
  const calls = (message.toolCalls ?? []).map(({ id, function: { name, arguments: json } }) => ({
    call: id,
    name,
    input: inputs.parse(json),
  }))
  const text = textOf(message)
  if (text === '' && calls.length === 0) return []
  return [{ role: 'assistant', ...(text === '' ? {} : { text }), ...(calls.length === 0 ? {} : { calls }) }]
}

function partsOf({ content }: Message): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return (content ?? []).flatMap((part): Part[] => {
    if (part.type === 'text') return part.text === undefined ? [] : [{ type: 'text', text: part.text }]
    const mediaType = part.mimeType ?? part.source?.mimeType
    const url = part.url ?? (part.source?.type === 'url' ? part.source.value : undefined)
    const data = part.data ?? (part.source?.type === 'data' ? part.source.value : undefined)
    if (mediaType === undefined || (url ?? data) === undefined) return []
    const name = part.filename === undefined ? {} : { name: part.filename }
    return [{ type: 'file', mediaType, ...name, ...(url === undefined ? { data: data ?? '' } : { url }) }]
  })
}

function textOf({ content }: Message): string {
  if (typeof content === 'string') return content
  return (content ?? []).map(({ type, text = '' }) => (type === 'text' ? text : '')).join('')
}

/** The text of a tool's result: AG-UI has no other form in both versions. */
export function resultText(result: { readonly output?: unknown; readonly error?: string | undefined }): string {
  if (result.error !== undefined) return result.error
  return typeof result.output === 'string' ? result.output : stringifyJson(result.output ?? null)
}
