// AgentInput: a prompt as the messages of a request to a remote agent (AG-UI 1.0, which servers of 0.0.x accept as well). Agents that
// keep a thread recognise messages by their ids, so the same message has the same id in every request. Pure.
import { createHash } from 'node:crypto'
import type { LanguageModelV3FunctionTool, LanguageModelV3Message, LanguageModelV3Prompt } from '@ai-sdk/provider'
import { stringifyJson } from '@parley/protocol'

type Message = LanguageModelV3Message
type Content<Role extends Message['role']> = Extract<Message, { role: Role }>['content'] & object
type UserPart = Content<'user'>[number]
type AssistantPart = Content<'assistant'>[number]
type Call = Extract<AssistantPart, { type: 'tool-call' }>
type Result = Extract<Content<'tool'>[number], { type: 'tool-result' }>

interface ToolCall {
  readonly id: string
  readonly type: 'function'
  readonly function: { readonly name: string; readonly arguments: string }
}

export type AgentMessage =
  | { readonly id: string; readonly role: 'system'; readonly content: string }
  | { readonly id: string; readonly role: 'user'; readonly content: string | readonly object[] }
  | { readonly id: string; readonly role: 'assistant'; readonly content?: string; readonly toolCalls?: ToolCall[] }
  | {
      readonly id: string
      readonly role: 'tool'
      readonly toolCallId: string
      readonly content: string
      readonly error?: string
    }

/** @param pending the agent's ids of calls that it makes only after this request: their results are left out */
export function agentMessages(prompt: LanguageModelV3Prompt, pending: ReadonlySet<string> = new Set()): AgentMessage[] {
  const results = new Map(prompt.flatMap(resultsOf))
  const ids = new Ids()
  return prompt.flatMap((message): AgentMessage[] => {
    switch (message.role) {
      case 'system':
        return [{ id: ids.of('system', message.content), role: 'system', content: message.content }]
      case 'user':
        return usersOf(message.content, ids)
      case 'assistant':
        return answersOf(message.content.filter(isTheAgents), results, pending, ids)
      default:
        // Results follow their calls.
        return []
    }
  })
}

export function agentTools(tools: readonly LanguageModelV3FunctionTool[]): object[] {
  return tools.map(({ name, description = '', inputSchema }) => ({ name, description, parameters: inputSchema }))
}

/** Ids of messages that have none: from their content, so that they are the same in later requests. */
class Ids {
  readonly #counts = new Map<string, number>()

  of(role: string, content: string): string {
    const hash = createHash('sha256').update(`${role}\n${content}`).digest('hex').slice(0, 24)
    const count = (this.#counts.get(hash) ?? 0) + 1
    this.#counts.set(hash, count)
    return count === 1 ? `${role}_${hash}` : `${role}_${hash}_${count}`
  }
}

function resultsOf(message: Message): [string, Result][] {
  if (message.role !== 'tool') return []
  return message.content.flatMap((part) => (part.type === 'tool-result' ? [[part.toolCallId, part]] : []))
}

/** Messages of people that the prompt has joined are separate again. */
function usersOf(content: readonly UserPart[], ids: Ids): AgentMessage[] {
  const groups: { id: string | undefined; parts: UserPart[] }[] = []
  for (const part of content) {
    const id = markOf(part, 'message')
    const last = groups.at(-1)
    if (last === undefined || (id !== undefined && id !== last.id)) groups.push({ id, parts: [part] })
    else last.parts.push(part)
  }
  return groups.map(({ id, parts }) => {
    const isText = parts.every(({ type }) => type === 'text')
    const content = isText ? parts.map((part) => ('text' in part ? part.text : '')).join('\n\n') : parts.map(userPart)
    return { id: id ?? ids.of('user', isText ? String(content) : stringifyJson(content)), role: 'user', content }
  })
}

const MEDIA = /^(image|audio|video)\//

function userPart(part: UserPart): object {
  if (part.type === 'text') return { type: 'text', text: part.text }
  const { data, mediaType: mimeType } = part
  const source =
    data instanceof URL
      ? { type: 'url', value: data.href, mimeType }
      : { type: 'data', value: typeof data === 'string' ? data : Buffer.from(data).toString('base64'), mimeType }
  return { type: MEDIA.exec(mimeType)?.[1] ?? 'document', source }
}

/** The agent's messages, each with its calls, and after these their results. Text after a call is another message. */
function answersOf(
  content: readonly AssistantPart[],
  results: ReadonlyMap<string, Result>,
  pending: ReadonlySet<string>,
  ids: Ids,
): AgentMessage[] {
  const messages: AgentMessage[] = []
  let text = ''
  let calls: Call[] = []
  let id: string | undefined
  const flush = (): void => {
    if (text === '' && calls.length === 0) return
    const toolCalls = calls.map(asToolCall)
    messages.push({
      id: id ?? ids.of('assistant', text + toolCalls.map((call) => call.id).join(' ')),
      role: 'assistant',
      ...(text === '' ? {} : { content: text }),
      ...(toolCalls.length === 0 ? {} : { toolCalls }),
    })
    for (const call of calls)
      if (!pending.has(callId(call))) messages.push(...resultOf(call, results.get(call.toolCallId)))
    text = ''
    calls = []
    id = undefined
  }
  for (const part of content) {
    const own = markOf(part, 'message')
    if (part.type === 'tool-call') {
      if (own !== undefined && id !== undefined && own !== id) flush()
      calls.push(part)
    } else if (part.type === 'text') {
      if (calls.length > 0 || (text !== '' && own !== id)) flush()
      text += part.text
    } else continue
    id ??= own
  }
  flush()
  return messages
}

/** Not a call that only stands for what the agent asked people. */
function isTheAgents(part: AssistantPart): boolean {
  return part.type !== 'tool-call' || markOf(part, 'interrupt') === undefined || markOf(part, 'call') !== undefined
}

/** The agent's own id of the call, if it made the call. */
function callId(call: Call): string {
  return markOf(call, 'call') ?? call.toolCallId
}

function asToolCall(call: Call): ToolCall {
  return {
    id: callId(call),
    type: 'function',
    function: { name: call.toolName, arguments: stringifyJson(call.input ?? {}) },
  }
}

function resultOf(call: Call, result: Result | undefined): AgentMessage[] {
  if (result === undefined) return []
  const { output } = result
  const toolCallId = callId(call)
  const id = markOf(result, 'result') ?? `${toolCallId}_result`
  const isError = output.type === 'error-text' || output.type === 'error-json'
  const content =
    output.type === 'text' || output.type === 'error-text'
      ? output.value
      : stringifyJson('value' in output ? output.value : (output.reason ?? null))
  return [{ id, role: 'tool', toolCallId, content, ...(isError ? { error: content } : {}) }]
}

function markOf(
  part: UserPart | AssistantPart | Result,
  name: 'message' | 'call' | 'interrupt' | 'result',
): string | undefined {
  const mark = part.providerOptions?.agui?.[name]
  return typeof mark === 'string' ? mark : undefined
}
