// The request of a response, and its conversion to a message: the last user message of the input becomes the message's
// content, and the items before it become its context. Pure.
import {
  CalledName,
  type Context,
  type ContextMessage,
  type FilePart,
  Id,
  LIMITS,
  MARKS_CHARS,
  type Part,
  type Sampling,
} from '@parley/protocol'
import { z } from 'zod'
import { HttpError } from '../http/http-error.ts'
import { CallArguments } from './call-arguments.ts'
import {
  type AcceptsFile,
  asTool,
  checkFile,
  checkToolChoice,
  contextOf,
  Fraction,
  FunctionTool,
  fileMark,
  filePart,
  filePartAt,
  functionsOf,
  given,
  ImageDetail,
  imagePart,
  jsonOf,
  Metadata,
  ModelName,
  OPTION_FIELDS,
  type OptionFields,
  only,
  PassedOn,
  passedOn,
  refuseFile,
  StreamOptions,
  Temperature,
  Text,
  TokenCount,
  ToolChoiceName,
  Tools,
  unsupported,
  Verbosity,
  Word,
} from './request-fields.ts'

const InputPart = z.discriminatedUnion('type', [
  z.object({ type: z.literal('input_text'), text: Text }),
  z.object({ type: z.literal('output_text'), text: Text }),
  z.object({ type: z.literal('refusal'), refusal: Text }),
  z.object({
    type: z.literal('input_image'),
    file_id: unsupported('files by id are not supported'),
    image_url: z.string(),
    detail: ImageDetail,
  }),
  z
    .object({
      type: z.literal('input_file'),
      file_id: unsupported('files by id are not supported'),
      file_url: z.string().nullish(),
      file_data: z.string().nullish(),
      filename: z.string().max(255).nullish(),
    })
    .refine(({ file_url: url, file_data: data }) => (typeof url === 'string') !== (typeof data === 'string'), {
      error: 'must have either file_data or file_url',
      path: ['file_data'],
    }),
])
const Message = z.object({
  type: z.literal('message'),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([Text, z.array(InputPart).max(LIMITS.messageParts)]),
})
const CallId = z.string().min(1).max(256)
const Synchronous = only(false, 'asynchronous calls are not supported')
const ContentItem = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('function_call'),
    call_id: CallId,
    name: CalledName,
    arguments: Text,
    async: Synchronous,
  }),
  z.object({
    type: z.literal('function_call_output'),
    call_id: CallId,
    output: z.union([Text, z.array(InputPart).max(LIMITS.messageParts)]),
  }),
  /** The model gets only what its provider wants back with a call. */
  z.object({ type: z.literal('reasoning'), encrypted_content: z.string().nullish() }),
  Message,
])
/** An item with its content. */
export type ContentItem = z.infer<typeof ContentItem>
const TypedItem = z.discriminatedUnion('type', [
  ...ContentItem.options,
  /** An item of an earlier response. */
  z.object({ type: z.literal('item_reference'), id: z.string().max(300) }),
])
/** The types `message` and `item_reference` are optional. */
const Item = z.preprocess((item) => {
  if (typeof item !== 'object' || item === null || ('type' in item && item.type !== null)) return item
  return { ...item, type: 'id' in item && !('role' in item) ? 'item_reference' : 'message' }
}, TypedItem)

/** @param item of a response's output @returns undefined if it exceeds a limit of the input */
export function asContentItem(item: object): ContentItem | undefined {
  return ContentItem.safeParse(item).data
}

/** Log probabilities are not available. The others concern items that no response has, or that are included anyway. */
const Included = z.enum(
  [
    'reasoning.encrypted_content',
    'message.input_image.image_url',
    'file_search_call.results',
    'web_search_call.results',
    'web_search_call.action.sources',
    'computer_call_output.output.image_url',
    'code_interpreter_call.outputs',
  ],
  { error: 'is not supported' },
)

export const InputItems = z.union([Text, z.array(Item).max(LIMITS.contextMessages)])

export const ResponseRequest = z.object({
  model: ModelName,
  input: InputItems.refine((input) => input.length > 0, 'must not be empty'),
  instructions: Text.max(LIMITS.messageChars).nullish(),
  previous_response_id: z.string().max(300).nullish(),
  stream: z.boolean().nullish(),
  background: z.boolean().nullish(),
  stream_options: StreamOptions,
  max_output_tokens: TokenCount,
  max_tool_calls: TokenCount,
  temperature: Temperature,
  top_p: Fraction,
  metadata: Metadata,
  ...PassedOn,
  reasoning: z
    .object({
      effort: Word,
      summary: Word,
      /** The former name of `summary`. */
      generate_summary: Word,
      mode: Word,
      context: z.enum(['auto', 'current_turn'], { error: 'reasoning of earlier turns is not available' }).nullish(),
    })
    .nullish(),
  include: z.array(Included).max(64).nullish(),
  truncation: z.enum(['auto', 'disabled']).nullish(),
  top_logprobs: only(0, 'log probabilities are not supported'),
  prompt_cache_options: z
    .object({
      prewarm: only(false, 'a request without an answer is not supported'),
      comparison_response_id: unsupported('diagnostics of the prompt cache are not supported'),
    })
    .nullish(),
  background_options: z.object({ completion_window: only('soonest', 'only soonest is supported') }).nullish(),
  image: z
    .object({ context_compression: z.enum(['auto', 'disabled'], { error: 'is not supported' }).nullish() })
    .nullish(),
  access_programs: unsupported('access programs are not supported'),
  moderation: unsupported('moderation is not supported'),
  context_management: z.array(z.unknown()).max(0, 'context management is not supported').nullish(),
  /** A session. */
  conversation: z.union([Id, z.object({ id: Id })]).nullish(),
  prompt: unsupported('stored prompts are not supported'),
  text: z
    .object({
      format: z
        .discriminatedUnion('type', [
          z.object({ type: z.literal('text') }),
          z.object({ type: z.literal('json_object') }),
          z.object({
            type: z.literal('json_schema'),
            name: z.string().max(64),
            schema: z.record(z.string(), z.unknown()),
            description: z.string().max(8192).optional(),
            strict: z.boolean().nullish(),
          }),
        ])
        .nullish(),
      verbosity: Verbosity,
    })
    .nullish(),
  tools: Tools(
    z.object({
      type: z.literal('function'),
      ...FunctionTool.shape,
      async: Synchronous,
      allowed_callers: z
        .array(z.string())
        .max(16)
        .refine((callers) => callers.includes('direct'), 'must include direct')
        .nullish(),
    }),
  ),
  tool_choice: z
    .union([ToolChoiceName, z.object({ type: z.literal('function'), name: z.string().max(128) })])
    .nullish(),
})
export type ResponseRequest = z.infer<typeof ResponseRequest>
/** A request whose items all have their content. */
export type ResolvedRequest = Omit<ResponseRequest, 'input'> & { readonly input: string | readonly ContentItem[] }

/** @param before the conversation to continue, if it is not in the same session @throws HttpError bad_request, too_large */
export function responseMessage(
  request: ResolvedRequest,
  before: readonly ContextMessage[],
  accepts: AcceptsFile,
): { readonly content: Part[]; readonly context: Context } {
  const { input, instructions, tools, tool_choice: choice } = request
  const functions = functionsOf(tools, choice)
  const sampling = samplingOf(request)
  checkToolChoice(sampling.toolChoice, functions)
  const items =
    typeof input === 'string' ? [{ type: 'message' as const, role: 'user' as const, content: input }] : input
  const marks = marksIn(items)
  const inputs = new CallArguments()
  const messages = items.map((item, at) => asContext(item, marks, inputs, `input.${at}`))
  const answered = messages.findLastIndex(([message]) => message?.role === 'assistant')
  for (const [at, [message]] of messages.entries()) {
    if (at <= answered) continue
    const files = message?.role === 'tool' ? (message.files ?? []) : []
    for (const file of files) checkFile(file, accepts, `input.${at}.output`)
    const content = message?.role === 'user' ? message.content : []
    for (const [index, part] of content.entries()) checkFile(part, accepts, `input.${at}.content.${index}`)
  }
  const conversation = [...before, ...messages.flat()]
  const last = conversation.at(-1)
  const asks = last?.role === 'user'
  return {
    content: asks ? [...last.content] : [],
    context: contextOf({
      history: joinCalls(asks ? conversation.slice(0, -1) : conversation),
      instructions: instructions ?? '',
      tools: functions.map(asTool),
      sampling,
    }),
  }
}

/** The field of each option that a provider may not support. */
export const RESPONSE_FIELDS: OptionFields = {
  ...OPTION_FIELDS,
  reasoningEffort: 'reasoning.effort',
  reasoningMode: 'reasoning.mode',
  verbosity: 'text.verbosity',
}

function samplingOf({ text, reasoning, tool_choice: choice, ...request }: ResolvedRequest): Sampling {
  const format = text?.format
  const { type: _, ...schema } = format?.type === 'json_schema' ? format : { type: undefined }
  return {
    ...given({
      maxOutputTokens: request.max_output_tokens,
      temperature: request.temperature,
      topP: request.top_p,
      json: 'name' in schema ? jsonOf(schema) : format?.type === 'json_object' ? {} : null,
      toolChoice: typeof choice === 'object' && choice !== null ? { name: choice.name } : choice,
      reasoningEffort: reasoning?.effort,
      reasoningSummary: reasoning?.summary ?? reasoning?.generate_summary,
      reasoningMode: reasoning?.mode,
      verbosity: text?.verbosity,
      truncation: request.truncation,
    }),
    ...passedOn(request),
  }
}

/** What the provider wants back with each call, by the call's id. */
function marksIn(items: readonly ContentItem[]): ReadonlyMap<string, string> {
  return new Map(
    items.flatMap((item) => {
      const content = item.type === 'reasoning' ? (item.encrypted_content ?? '') : ''
      const [, call = '', marks = ''] = /^([^.]+)\.(.+)$/s.exec(content) ?? []
      return marks === '' || marks.length > MARKS_CHARS ? [] : [[call, marks] as const]
    }),
  )
}

function asContext(
  item: ContentItem,
  marks: ReadonlyMap<string, string>,
  inputs: CallArguments,
  path: string,
): ContextMessage[] {
  if ('role' in item) {
    const at = `${path}.content`
    if (item.role === 'user') return [{ role: 'user', content: userParts(item.content, at) }]
    return [{ role: item.role === 'assistant' ? 'assistant' : 'system', text: textOf(item.content, at) }]
  }
  switch (item.type) {
    case 'function_call': {
      const own = marks.get(item.call_id)
      const call = { call: item.call_id, name: item.name, input: inputs.parse(item.arguments) }
      return [{ role: 'assistant', calls: [own === undefined ? call : { ...call, marks: own }] }]
    }
    case 'function_call_output':
      return [{ role: 'tool', call: item.call_id, ...resultOf(item.output, `${path}.output`) }]
    case 'reasoning':
      return []
  }
}

/** Merges the text and the tool calls of one model call into one message. */
function joinCalls(messages: readonly ContextMessage[]): ContextMessage[] {
  const result: ContextMessage[] = []
  for (const message of messages) {
    const last = result.at(-1)
    if (message.role === 'assistant' && last?.role === 'assistant' && message.text === undefined) {
      result[result.length - 1] = { ...last, calls: [...(last.calls ?? []), ...(message.calls ?? [])] }
    } else result.push(message)
  }
  return result
}

function userParts(content: z.infer<typeof Message>['content'], path: string): Part[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return content.map((part, at) => userPart(part, `${path}.${at}`))
}

function userPart(part: z.infer<typeof InputPart>, path: string): Part {
  switch (part.type) {
    case 'input_text':
    case 'output_text':
      return { type: 'text', text: part.text }
    case 'refusal':
      return { type: 'text', text: part.refusal }
    case 'input_image':
      return imagePart(part.image_url, part.detail, `${path}.image_url`)
    case 'input_file': {
      const { file_url: url, file_data: data, filename } = part
      return typeof url === 'string'
        ? filePartAt(url, filename ?? undefined, `${path}.file_url`)
        : filePart(data ?? '', filename ?? undefined, `${path}.file_data`)
    }
  }
}

function textOf(content: z.infer<typeof Message>['content'], path: string): string {
  if (typeof content === 'string') return content
  return userParts(content, path)
    .map((part, at) => (part.type === 'text' ? part.text : refuseFile(`${path}.${at}`)))
    .join('')
}

/** The text of a tool's result, in which a mark stands for each file, and its files. */
function resultOf(output: string | z.infer<typeof InputPart>[], path: string): { output: string; files?: FilePart[] } {
  if (typeof output === 'string') return { output }
  const files: FilePart[] = []
  const texts = userParts(output, path).map((part) => {
    if (part.type === 'text') return part.text
    files.push(part)
    return fileMark(files.length - 1, part)
  })
  return { output: texts.join(''), ...(files.length === 0 ? {} : { files }) }
}

/** The session that the request names. */
export function conversationIn({ conversation }: Pick<ResponseRequest, 'conversation'>): string | undefined {
  return (typeof conversation === 'string' ? conversation : conversation?.id) ?? undefined
}

/** @throws HttpError bad_request */
export function checkResponse(request: ResponseRequest): void {
  const { background, store, previous_response_id: previous } = request
  const conversation = conversationIn(request)
  if (conversation !== undefined && typeof previous === 'string') {
    throw new HttpError('bad_request', 'Use either conversation or previous_response_id.', { path: 'conversation' })
  }
  const kept = background === true ? 'A background response' : 'A response in a conversation'
  if (store === false && (background === true || conversation !== undefined)) {
    throw new HttpError('bad_request', `${kept} must be stored: omit store or set it to true.`, { path: 'store' })
  }
}

/** A request whose tokens are counted. All fields but the model are optional. */
export const InputTokensRequest = ResponseRequest.extend({ input: ResponseRequest.shape.input.nullish() })
