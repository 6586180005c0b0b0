// StrictProvider: refuses the requests that the real services refuse, in their words. The rules are from the services' API references
// and from errors that they return. Other requests get the answer "ok".
//
//   anthropic   platform.claude.com/docs/en/api/messages, /docs/en/build-with-claude/vision; the words: github.com/anthropics/claude-code
//               issues 23440 (white space), 59812 (empty text), and Anthropic's errors as other clients quote them
//   openai      platform.openai.com/docs/api-reference/responses/create (function_call, function_call_output, input_image, input_file)
//   google      ai.google.dev/api/caching#Content, /gemini-api/docs/function-calling; the words: github.com/google-gemini/gemini-cli
//               issues 11814 (order of turns), 6678 (length), github.com/microsoft/vscode issue 299295 (number of responses)
//   all         input schemas of tools: github.com/anthropics/claude-code issue 5319, cecli-dev/cecli issue 281 (OpenAI),
//               spring-projects/spring-ai issue 1373 and pipecat-ai/pipecat-flows issue 110 (Google)
//   compatible  platform.openai.com/docs/api-reference/chat/create; vLLM and llama.cpp check the same. Mistral: docs.mistral.ai/api
import type { ProviderName } from '../model-config.ts'
import { chatChunk } from './provider-server.ts'

type Json = Readonly<Record<string, unknown>>

export interface Refused {
  readonly status: number
  readonly body: Json
}

export interface Service {
  readonly provider: ProviderName
  /** Tokens of a request, at four characters each. */
  readonly window?: number
  /** A model without eyes and ears. */
  readonly textOnly?: boolean
  /** A file, in base64, that the service cannot read. */
  readonly broken?: string
  /** Words that its filter refuses. */
  readonly forbidden?: string
  /** Ids of calls, as Mistral's service requires them. */
  readonly callId?: RegExp
}

/** @param text the request's body @returns undefined if the service answers */
export function refusalOf(service: Service, text: string): Refused | undefined {
  const body = JSON.parse(text) as Json
  const tokens = Math.ceil(text.length / 4)
  const { window = Number.POSITIVE_INFINITY, provider, broken, forbidden } = service
  if (tokens > window) return tooLong(provider, tokens, window)
  if (broken !== undefined && text.includes(broken)) return error(provider, 'Could not process image')
  if (forbidden !== undefined && text.includes(forbidden)) {
    return error(provider, 'The response was filtered.', { code: 'content_filter' })
  }
  const message = hasHalf(body) ? 'not valid JSON: no low surrogate in string' : RULES[provider](body, service)
  return message === undefined ? undefined : error(provider, message)
}

function tooLong(provider: ProviderName, tokens: number, window: number): Refused {
  switch (provider) {
    case 'anthropic':
      return error(provider, `prompt is too long: ${tokens} tokens > ${window} maximum`)
    case 'openai':
      return error(provider, 'Your input exceeds the context window of this model.', {
        code: 'context_length_exceeded',
      })
    case 'google':
      return error(
        provider,
        `The input token count (${tokens}) exceeds the maximum number of tokens allowed (${window}).`,
      )
    case 'compatible':
      // llama.cpp.
      return {
        status: 400,
        body: {
          error: {
            code: 400,
            message: 'the request exceeds the available context size',
            type: 'exceed_context_size_error',
            n_prompt_tokens: tokens,
            n_ctx: window,
          },
        },
      }
  }
}

function error(provider: ProviderName, message: string, more: Json = {}): Refused {
  const own = provider === 'google' ? { code: 400, status: 'INVALID_ARGUMENT' } : { type: 'invalid_request_error' }
  return {
    status: 400,
    body: { ...(provider === 'anthropic' ? { type: 'error' } : {}), error: { ...own, message, ...more } },
  }
}

type Rule = (body: Json, service: Service) => string | undefined

const RULES: Readonly<Record<ProviderName, Rule>> = { anthropic, openai, google, compatible }
const NAME = /^[a-zA-Z0-9_-]{1,64}$/
const IMAGES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp']

const NOT_AT_ROOT = ['oneOf', 'anyOf', 'allOf']

function anthropic(body: Json): string | undefined {
  for (const { input_schema: schema } of list(body.tools) as readonly { input_schema: Json }[]) {
    if (schema.type !== 'object') return "tools.0.custom.input_schema.type: Input should be 'object'"
    if (NOT_AT_ROOT.some((keyword) => keyword in schema)) {
      return 'tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level'
    }
  }
  const ids = new Set<unknown>()
  let open: unknown[] = []
  for (const block of list(body.system)) if (isBlank(block.text)) return 'system: text content blocks must be non-empty'
  for (const [at, message] of list(body.messages).entries()) {
    const content = list(message.content)
    if (at === 0 && message.role !== 'user') return 'messages: first message must use the "user" role'
    if (content.length === 0) return 'all messages must have non-empty content'
    const results = content.filter((block) => block.type === 'tool_result')
    const wanted = open
    if (wanted.some((id) => !results.some((result) => result.tool_use_id === id))) {
      return 'tool_use ids were found without tool_result blocks immediately after'
    }
    if (results.length > wanted.length || results.some((result) => !wanted.includes(result.tool_use_id))) {
      return 'unexpected tool_use_id found in tool_result blocks'
    }
    if (content.slice(0, results.length).some((block) => block.type !== 'tool_result')) {
      return 'tool_result blocks must come first'
    }
    open = []
    for (const block of content) {
      if (block.type === 'text' && isBlank(block.text)) return 'text content blocks must contain non-whitespace text'
      if (block.type === 'image' || block.type === 'document') {
        const source = block.source as Json
        const types = block.type === 'image' ? IMAGES : ['application/pdf']
        if (source.type === 'base64' && !(types.includes(String(source.media_type)) && source.data !== '')) {
          return `source.media_type: Input should be one of ${types.join()}`
        }
      }
      if (block.type === 'tool_result' && block.is_error === true && isBlank(block.content)) {
        return 'tool_result: content cannot be empty if `is_error` is true'
      }
      if (block.type !== 'tool_use') continue
      if (!NAME.test(String(block.name))) return 'tool_use.name: String should match pattern'
      if (!/^[a-zA-Z0-9_-]+$/.test(String(block.id))) return 'tool_use.id: String should match pattern'
      if (ids.has(block.id)) return 'tool_use ids must be unique'
      if (!isObject(block.input)) return 'tool_use.input: Input should be a valid dictionary'
      ids.add(block.id)
      open.push(block.id)
    }
  }
  return open.length === 0 ? undefined : 'tool_use ids were found without tool_result blocks immediately after'
}

/** @param tools in the form of the Responses API, or of the field `function` in chat completions */
function functionsProblem(tools: readonly Json[]): string | undefined {
  for (const { name, description, parameters } of tools) {
    const schema = parameters as Json
    if (schema.type !== 'object' || [...NOT_AT_ROOT, 'enum', 'not'].some((keyword) => keyword in schema)) {
      return `Invalid schema for function '${name}': schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level.`
    }
    if (!isObject(schema.properties)) return `Invalid schema for function '${name}': object schema missing properties.`
    if (String(description).length > 1_024) return 'string too long. Expected a string with maximum length 1024'
  }
  return undefined
}

function openai(body: Json): string | undefined {
  const problem = functionsProblem(list(body.tools))
  if (problem !== undefined) return problem
  const open = new Set<unknown>()
  const seen = new Set<unknown>()
  for (const item of list(body.input)) {
    if (item.type === 'function_call') {
      if (!NAME.test(String(item.name))) return "string does not match pattern '^[a-zA-Z0-9_-]+$'"
      if (String(item.call_id).length > 64) return 'call_id: string too long. Expected a maximum length 64'
      if (seen.has(item.call_id)) return `Duplicate call_id ${item.call_id}`
      open.add(item.call_id)
      seen.add(item.call_id)
    } else if (item.type === 'function_call_output') {
      if (!open.delete(item.call_id)) return `No tool call found for function call output with call_id ${item.call_id}`
    } else {
      for (const part of Array.isArray(item.content) ? list(item.content) : []) {
        const type = /^data:([^;]+);base64,(.+)$/.exec(String(part.image_url ?? part.file_data ?? ''))?.[1]
        if (part.type === 'input_image' && !isUrl(part.image_url) && !IMAGES.includes(type ?? ''))
          return 'unsupported image'
        if (part.type === 'input_file' && type !== 'application/pdf' && !isUrl(part.file_url)) return 'unsupported file'
      }
    }
  }
  return open.size === 0 ? undefined : `No tool output found for function call ${[...open][0]}`
}

const GOOGLE_FILES =
  /^(image\/(png|jpeg|webp|heic|heif)|audio\/(wav|mp3|mpeg|aiff|aac|ogg|flac)|video\/\w[\w-]*|application\/pdf|text\/\w+)$/

function google(body: Json): string | undefined {
  for (const { name, parameters } of list(body.tools).flatMap((tool) => list(tool.functionDeclarations))) {
    if (parameters === undefined) continue
    const { type, properties } = parameters as Json
    if (type !== 'object') return `${name} functionDeclaration parameters schema should be of type OBJECT`
    if (Object.keys(properties ?? {}).length === 0) return 'parameters.properties: should be non-empty for OBJECT type'
  }
  let calls: unknown[] = []
  let previous: unknown
  for (const [at, content] of list(body.contents).entries()) {
    const parts = list(content.parts)
    if (parts.length === 0) return 'contents.parts must not be empty.'
    const names = (kind: string): unknown[] =>
      parts.flatMap((part) => (isObject(part[kind]) ? [(part[kind] as Json).name] : []))
    const responses = names('functionResponse')
    if (String(responses) !== String(calls) || responses.length !== calls.length) {
      return 'Please ensure that the number of function response parts is equal to the number of function call parts'
    }
    calls = names('functionCall')
    if (calls.length > 0 && (at === 0 || previous !== 'user')) {
      return 'Please ensure that function call turn comes immediately after a user turn or after a function response turn.'
    }
    if (calls.some((name) => !/^[a-zA-Z_][a-zA-Z0-9_.-]{0,63}$/.test(String(name)))) return 'Invalid function name.'
    for (const part of parts) {
      if ('text' in part && part.text === '') return 'Unable to submit request because it has an empty text parameter.'
      const data = part.inlineData as Json | undefined
      if (data !== undefined && !(GOOGLE_FILES.test(String(data.mimeType)) && data.data !== '')) {
        return `Unsupported MIME type: ${String(data.mimeType)}`
      }
    }
    previous = content.role
  }
  return calls.length === 0
    ? undefined
    : 'Please ensure that function response turn comes immediately after a function call turn.'
}

function compatible(body: Json, { textOnly, callId = NAME }: Service): string | undefined {
  const problem = functionsProblem(list(body.tools).map((tool) => tool.function as Json))
  if (problem !== undefined) return problem
  let open: unknown[] = []
  const ids = new Set<unknown>()
  for (const message of list(body.messages)) {
    if (message.role === 'tool') {
      if (!open.includes(message.tool_call_id)) {
        return "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
      }
      open = open.filter((id) => id !== message.tool_call_id)
      continue
    }
    if (open.length > 0) return "An assistant message with 'tool_calls' must be followed by tool messages"
    for (const call of list(message.tool_calls)) {
      if (!NAME.test(String((call.function as Json).name))) return 'function.name: string does not match pattern'
      if (!callId.test(String(call.id)) || ids.has(call.id))
        return 'Tool call id must be a-z, A-Z, 0-9, with a length of 9.'
      ids.add(call.id)
      open.push(call.id)
    }
    const parts = Array.isArray(message.content) ? list(message.content) : []
    if (textOnly && parts.some((part) => part.type !== 'text')) return 'This model does not support image input'
  }
  return open.length === 0 ? undefined : "An assistant message with 'tool_calls' must be followed by tool messages"
}

function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as Json[]) : []
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isBlank(value: unknown): boolean {
  return typeof value === 'string' && value.trim() === ''
}

function isUrl(value: unknown): boolean {
  return typeof value === 'string' && /^https?:/.test(value)
}

function hasHalf(value: unknown): boolean {
  if (typeof value === 'string') return /\p{Surrogate}/u.test(value)
  return typeof value === 'object' && value !== null && Object.entries(value).some((entry) => entry.some(hasHalf))
}

/** The events of the answer "ok". Anthropic's have names, which are their types. */
export const OK: Readonly<Record<ProviderName, readonly object[]>> = {
  anthropic: [
    {
      type: 'message_start',
      message: { id: 'm', model: 'm', role: 'assistant', usage: { input_tokens: 1, output_tokens: 1 } },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'ok' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ],
  openai: [
    { type: 'response.output_item.added', output_index: 0, item: { type: 'message', id: 'm', phase: null } },
    { type: 'response.output_text.delta', item_id: 'm', delta: 'ok' },
    { type: 'response.output_item.done', output_index: 0, item: { type: 'message', id: 'm', phase: null } },
    { type: 'response.completed', response: { usage: { input_tokens: 1, output_tokens: 1 } } },
  ],
  google: [{ candidates: [{ content: { role: 'model', parts: [{ text: 'ok' }] }, finishReason: 'STOP' }] }],
  compatible: [chatChunk({ content: 'ok' }), chatChunk({}, 'stop')],
}
