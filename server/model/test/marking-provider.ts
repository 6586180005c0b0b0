// Providers that want something back with the calls of their models, and refuse each request without it, as Gemini 3, Claude with
// thinking, OpenAI's reasoning models and DeepSeek do. Each calls `where` twice when the last message asks to `go`, and else says `done`.
import type { ProviderRequest } from './provider-server.ts'
import { beginSse, chatChunk, sendSse } from './provider-server.ts'

type Json = Readonly<Record<string, unknown>>
type Items = readonly Json[]

export interface MarkingProvider {
  /** The model's id in Parley. */
  readonly id: string
  /** What a request for a second step must contain, in this order; without it, the provider answers 400. */
  readonly expected: unknown
  /** What a request contains of it. */
  readonly found: (body: Json) => unknown
  readonly go: (body: Json) => boolean
  readonly call: Items
  readonly done: Items
  /** Its error body. */
  readonly refusal: object
  /** The name of each event. */
  readonly named?: (event: unknown) => string
}

/** @param seen called with each request's body */
export function answerOf(provider: MarkingProvider, seen: (body: Json) => void = () => undefined) {
  return ({ body, response }: ProviderRequest): void => {
    const request = body as Json
    seen(request)
    const found = provider.found(request)
    if (found !== undefined && JSON.stringify(found) !== JSON.stringify(provider.expected)) {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify(provider.refusal))
      return
    }
    beginSse(response)
    sendSse(response, provider.go(request) ? provider.call : provider.done, provider.named)
    response.end()
  }
}

const list = (value: unknown): Items => (Array.isArray(value) ? value : [])
const asksToGo = (message: Json | undefined): boolean =>
  message?.role === 'user' && JSON.stringify(message).includes('go')
const CITIES = ['Bern', 'Oslo'] as const
const typeOf = (event: unknown): string => (event as { type: string }).type

const anthropicBlocks = (blocks: readonly (readonly [Json, ...Json[]])[], reason: string): Items => [
  {
    type: 'message_start',
    message: {
      id: 'm',
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [],
      usage: { input_tokens: 1, output_tokens: 1 },
    },
  },
  ...blocks.flatMap(([block, ...deltas], index) => [
    { type: 'content_block_start', index, content_block: block },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ]),
  { type: 'message_delta', delta: { stop_reason: reason, stop_sequence: null }, usage: { output_tokens: 2 } },
  { type: 'message_stop' },
]

const anthropic: MarkingProvider = {
  id: 'anthropic:claude-opus-4-5',
  expected: [['thinking', 'sig-1', 'Hm, where?'], ['redacted_thinking', 'red-1'], ['text'], ['tool_use'], ['tool_use']],
  found: ({ messages }) => {
    const said = list(messages).find(({ role }) => role === 'assistant')
    return (
      said &&
      list(said.content).map(({ type, signature, data, thinking }) =>
        [type, signature ?? data, thinking].filter(Boolean),
      )
    )
  },
  go: ({ messages }) => asksToGo(list(messages).at(-1)),
  call: anthropicBlocks(
    [
      [
        { type: 'thinking', thinking: '', signature: '' },
        { type: 'thinking_delta', thinking: 'Hm, ' },
        { type: 'thinking_delta', thinking: 'where?' },
        { type: 'signature_delta', signature: 'sig-1' },
      ],
      [{ type: 'redacted_thinking', data: 'red-1' }],
      [
        { type: 'text', text: '' },
        { type: 'text_delta', text: 'Let me see.' },
      ],
      ...CITIES.map((city): [Json, Json] => [
        { type: 'tool_use', id: city, name: 'where', input: {} },
        { type: 'input_json_delta', partial_json: JSON.stringify({ city }) },
      ]),
    ],
    'tool_use',
  ),
  done: anthropicBlocks(
    [
      [
        { type: 'text', text: '' },
        { type: 'text_delta', text: 'done' },
      ],
    ],
    'end_turn',
  ),
  refusal: {
    type: 'error',
    error: {
      type: 'invalid_request_error',
      message: 'messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.',
    },
  },
  named: typeOf,
}

const responseItems = (items: Items): Items => [
  { type: 'response.created', response: { id: 'r', created_at: 1, model: 'm' } },
  ...items.flatMap((item, output_index) => [
    { type: 'response.output_item.added', output_index, item: { ...item, arguments: '', status: 'in_progress' } },
    ...(item.type === 'message' ? [{ type: 'response.output_text.delta', item_id: item.id, delta: item.text }] : []),
    { type: 'response.output_item.done', output_index, item: { ...item, status: 'completed' } },
  ]),
  { type: 'response.completed', response: { usage: { input_tokens: 1, output_tokens: 2 } } },
]
const openaiCall = (city: string): Json => ({
  type: 'function_call',
  id: `fc_${city}`,
  call_id: city,
  name: 'where',
  arguments: JSON.stringify({ city }),
})

const openai: MarkingProvider = {
  id: 'openai:gpt-5',
  // Two calls of one answer, each with reasoning of its own: OpenAI refuses reasoning without the item that followed it.
  expected: [
    ['reasoning', 'enc-1'],
    ['message'],
    ['function_call'],
    ['reasoning', 'enc-2'],
    ['function_call'],
    false,
    true,
  ],
  found: ({ input, store, include }) => {
    const own = list(input).filter(
      ({ role, type }) =>
        role === 'assistant' || ['reasoning', 'function_call', 'item_reference'].includes(String(type)),
    )
    const kinds = own.map(({ type = 'message', encrypted_content }) => [type, encrypted_content].filter(Boolean))
    return own.length === 0 ? undefined : [...kinds.slice(0, 5), store, String(include).includes('encrypted')]
  },
  go: ({ input }) => asksToGo(list(input).at(-1)),
  call: responseItems([
    { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'enc-1' },
    { type: 'message', id: 'msg_1', text: 'Let me see.' },
    openaiCall('Bern'),
    { type: 'reasoning', id: 'rs_2', summary: [], encrypted_content: 'enc-2' },
    openaiCall('Oslo'),
  ]),
  done: responseItems([{ type: 'message', id: 'msg_2', text: 'done' }]),
  refusal: {
    error: {
      type: 'invalid_request_error',
      code: null,
      param: 'input',
      message: "Item 'fc_Bern' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'.",
    },
  },
}

const candidate = (parts: Items, finishReason?: string): Json => ({
  candidates: [{ index: 0, content: { role: 'model', parts }, ...(finishReason && { finishReason }) }],
  usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 2, totalTokenCount: 3 },
})
const NO_SIGNATURE = 'Function call is missing a thought_signature in functionCall parts.'

const google: MarkingProvider = {
  id: 'google:gemini-3-pro-preview',
  expected: [['where', 'sig-1'], ['where']],
  found: ({ contents }) => {
    const said = list(contents).find(({ role }) => role === 'model')
    return (
      said &&
      list(said.parts).flatMap(({ functionCall, thoughtSignature }) =>
        functionCall === undefined ? [] : [[(functionCall as Json).name, thoughtSignature].filter(Boolean)],
      )
    )
  },
  go: ({ contents }) => asksToGo(list(contents).at(-1)),
  call: [
    candidate([{ text: 'Hm, where?', thought: true }]),
    candidate([{ text: 'Let me see.' }]),
    candidate(
      [
        { functionCall: { name: 'where', args: { city: 'Bern' } }, thoughtSignature: 'sig-1' },
        { functionCall: { name: 'where', args: { city: 'Oslo' } } },
      ],
      'STOP',
    ),
  ],
  done: [candidate([{ text: 'done' }], 'STOP')],
  refusal: { error: { code: 400, message: NO_SIGNATURE, status: 'INVALID_ARGUMENT' } },
}

const compatible: MarkingProvider = {
  id: 'compatible:gemini-3-pro-preview',
  // The reasoning itself is what DeepSeek wants back.
  expected: ['Hm, where?', [['where', 'sig-1'], ['where']]],
  found: ({ messages }) => {
    const said = list(messages).find(({ role }) => role === 'assistant')
    const calls = list(said?.tool_calls).map(({ function: called, extra_content: extra }) =>
      [(called as Json).name, (extra as { google: Json } | undefined)?.google.thought_signature].filter(Boolean),
    )
    return said && [said.reasoning_content, calls]
  },
  go: ({ messages }) => asksToGo(list(messages).at(-1)),
  call: [
    chatChunk({ role: 'assistant', reasoning_content: 'Hm, where?' }) as Json,
    chatChunk({ content: 'Let me see.' }) as Json,
    ...CITIES.map((city, index) => {
      const called = { name: 'where', arguments: JSON.stringify({ city }) }
      const extra = index === 0 ? { extra_content: { google: { thought_signature: 'sig-1' } } } : {}
      return chatChunk({ tool_calls: [{ index, id: city, type: 'function', function: called, ...extra }] }) as Json
    }),
    chatChunk({}, 'tool_calls', { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }) as Json,
  ],
  done: [
    chatChunk({ content: 'done' }) as Json,
    chatChunk({}, 'stop', { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }) as Json,
  ],
  refusal: { error: { message: NO_SIGNATURE, type: 'invalid_request_error' } },
}

export const MARKING_PROVIDERS: readonly MarkingProvider[] = [anthropic, openai, google, compatible]
