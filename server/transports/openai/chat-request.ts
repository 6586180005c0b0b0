// The request of a chat completion, and its conversion to a message: the last user message becomes the message's
// content, and the messages before it become its context. Pure.
import {
  CalledName,
  type CallMarks,
  type Context,
  type ContextMessage,
  LIMITS,
  Marks,
  type Part,
  Sampling,
} from '@parley/protocol'
import { z } from 'zod'
import { CallArguments } from './call-arguments.ts'
import {
  type AcceptsFile,
  asTool,
  audioPart,
  checkFile,
  checkToolChoice,
  contextOf,
  Fraction,
  FunctionTool,
  filePart,
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
  Penalty,
  passedOn,
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

const TextPart = z.object({ type: z.literal('text'), text: Text })
const UserPart = z.discriminatedUnion('type', [
  TextPart,
  z.object({
    type: z.literal('image_url'),
    image_url: z.object({ url: z.string(), detail: ImageDetail }),
  }),
  z.object({
    type: z.literal('input_audio'),
    input_audio: z.object({ data: z.string(), format: z.enum(['wav', 'mp3']) }),
  }),
  z.object({
    type: z.literal('file'),
    file: z.object({
      file_id: unsupported('files by id are not supported'),
      file_data: z.string(),
      filename: z.string().max(255).optional(),
    }),
  }),
])
const Texts = z.union([Text, z.array(TextPart).max(LIMITS.contextMessages)])
const AnswerPart = z.discriminatedUnion('type', [TextPart, z.object({ type: z.literal('refusal'), refusal: Text })])

/** Other content than the known is ignored, as are marks that are too long. */
const ExtraContent = z
  .object({
    google: z.object({ thought_signature: Marks.nullish().catch(undefined) }).nullish(),
    parley: z.object({ marks: Marks.nullish().catch(undefined) }).nullish(),
  })
  .nullish()
  .catch(undefined)

const Message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer']), content: Texts }),
  z.object({ role: z.literal('user'), content: z.union([Text, z.array(UserPart).min(1).max(LIMITS.messageParts)]) }),
  z.object({
    role: z.literal('assistant'),
    /** May be empty or absent: so are answers. */
    content: z.union([Text, z.array(AnswerPart).max(LIMITS.contextMessages)]).nullish(),
    refusal: Text.nullish(),
    audio: unsupported('audio is not supported'),
    function_call: unsupported('function_call is not supported: use tool_calls'),
    /** DeepSeek and Kimi want it back with tool calls. */
    reasoning_content: Text.nullish().catch(undefined),
    tool_calls: z
      .array(
        z.object({
          id: z.string().min(1).max(256),
          type: z.literal('function'),
          function: z.object({ name: CalledName, arguments: Text }),
          /** As in the answer that made the call. */
          extra_content: ExtraContent,
        }),
      )
      // OpenAI's limit is the same.
      .max(LIMITS.contextTools)
      .nullish(),
  }),
  z.object({ role: z.literal('tool'), content: Texts, tool_call_id: z.string().min(1).max(256) }),
])
type Message = z.infer<typeof Message>

const Stop = z.string().max(256)

export const ChatRequest = z.object({
  model: ModelName,
  messages: z.array(Message).min(1).max(LIMITS.contextMessages),
  stream: z.boolean().nullish(),
  stream_options: StreamOptions,
  n: only(1, 'only n = 1 is supported'),
  metadata: Metadata,
  ...PassedOn,
  reasoning_effort: Word,
  verbosity: Verbosity,
  logit_bias: Sampling.shape.logitBias.nullish(),
  logprobs: only(false, 'log probabilities are not supported'),
  top_logprobs: only(0, 'log probabilities are not supported'),
  moderation: unsupported('moderation is not supported'),
  modalities: z
    .array(z.literal('text', { error: 'only text is supported' }))
    .max(16)
    .nullish(),
  audio: unsupported('audio is not supported'),
  functions: unsupported('functions are not supported: use tools'),
  function_call: unsupported('function_call is not supported: use tool_choice'),
  web_search_options: unsupported('web search is not supported'),
  max_tokens: TokenCount,
  max_completion_tokens: TokenCount,
  temperature: Temperature,
  top_p: Fraction,
  presence_penalty: Penalty,
  frequency_penalty: Penalty,
  seed: z.int().nullish(),
  stop: z.union([Stop, z.array(Stop).max(16)]).nullish(),
  response_format: z
    .discriminatedUnion('type', [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      z.object({
        type: z.literal('json_schema'),
        json_schema: z.object({
          name: z.string().max(64),
          schema: z.record(z.string(), z.unknown()).optional(),
          description: z.string().max(8192).optional(),
          strict: z.boolean().nullish(),
        }),
      }),
    ])
    .nullish(),
  tools: Tools(z.object({ type: z.literal('function'), function: FunctionTool })),
  tool_choice: z
    .union([
      ToolChoiceName,
      z.object({ type: z.literal('function'), function: z.object({ name: z.string().max(128) }) }),
    ])
    .nullish(),
})
export type ChatRequest = z.infer<typeof ChatRequest>

/** @param model the id of the model that answers @throws HttpError bad_request, too_large */
export function chatMessage(
  request: ChatRequest,
  model: string,
  accepts: AcceptsFile,
): { readonly content: Part[]; readonly context: Context } {
  const { messages, tools, tool_choice: choice } = request
  const functions = functionsOf(tools, choice).map((tool) => tool.function)
  const sampling = samplingOf(request)
  checkToolChoice(sampling.toolChoice, functions)
  const inputs = new CallArguments()
  const all = messages.map((message, at) => asContext(message, model, inputs, `messages.${at}`))
  const answered = all.findLastIndex(({ role }) => role === 'assistant')
  for (const [at, message] of all.entries()) {
    if (at <= answered || message.role !== 'user') continue
    for (const [index, part] of message.content.entries()) checkFile(part, accepts, `messages.${at}.content.${index}`)
  }
  const first = all.findIndex(({ role }) => role !== 'system')
  const leading = all.slice(0, first < 0 ? all.length : first)
  const instructions = leading.flatMap((message) => (message.role === 'system' ? [message.text] : [])).join('\n\n')
  // Long ones stay in the history, and the model gets them in the same place.
  const isLong = instructions.length > LIMITS.messageChars
  const conversation = isLong ? all : all.slice(leading.length)
  const last = conversation.at(-1)
  const asks = last?.role === 'user'
  return {
    content: asks ? [...last.content] : [],
    context: contextOf({
      history: asks ? conversation.slice(0, -1) : conversation,
      instructions: isLong ? '' : instructions,
      tools: functions.map(asTool),
      sampling,
    }),
  }
}

/** The field of each option that a provider may not support. */
export const CHAT_FIELDS: OptionFields = {
  ...OPTION_FIELDS,
  reasoningEffort: 'reasoning_effort',
  verbosity: 'verbosity',
  logitBias: 'logit_bias',
}

function samplingOf(request: ChatRequest): Sampling {
  const { response_format: format, tool_choice: choice, stop } = request
  return {
    ...given({
      maxOutputTokens: request.max_completion_tokens ?? request.max_tokens,
      temperature: request.temperature,
      topP: request.top_p,
      presencePenalty: request.presence_penalty,
      frequencyPenalty: request.frequency_penalty,
      seed: request.seed,
      stop: typeof stop === 'string' ? [stop] : stop,
      json: format?.type === 'json_object' ? {} : format?.type === 'json_schema' ? jsonOf(format.json_schema) : null,
      toolChoice: typeof choice === 'object' && choice !== null ? { name: choice.function.name } : choice,
      reasoningEffort: request.reasoning_effort,
      verbosity: request.verbosity,
      logitBias: request.logit_bias,
    }),
    ...passedOn(request),
  }
}

/** @param reasoning before the call, for a model that wants it back */
function marksOf(extra: z.infer<typeof ExtraContent>, model: string, reasoning = ''): { marks?: string } {
  const { google, parley } = extra ?? {}
  if (typeof parley?.marks === 'string') return { marks: parley.marks }
  const signature = google?.thought_signature ?? ''
  if (signature === '' && reasoning === '') return {}
  const marks: CallMarks = {
    model,
    ...(signature === '' ? {} : { call: { google: { thoughtSignature: signature } } }),
    ...(reasoning === '' ? {} : { before: [{ reasoning }] }),
  }
  return { marks: JSON.stringify(marks) }
}

function asContext(message: Message, model: string, inputs: CallArguments, path: string): ContextMessage {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: 'system', text: textOf(message.content) }
    case 'user':
      return { role: 'user', content: userParts(message.content, `${path}.content`) }
    case 'assistant': {
      const text = textOf(message.content ?? '') + (message.refusal ?? '')
      const reasoning = model.startsWith('compatible:') ? (message.reasoning_content ?? '') : ''
      const calls = (message.tool_calls ?? []).map(
        ({ id, function: { name, arguments: input }, extra_content: extra }, index) => ({
          call: id,
          name,
          input: inputs.parse(input),
          ...marksOf(extra, model, index === 0 ? reasoning : ''),
        }),
      )
      return { role: 'assistant', ...(text === '' ? {} : { text }), ...(calls.length === 0 ? {} : { calls }) }
    }
    case 'tool':
      return { role: 'tool', call: message.tool_call_id, output: textOf(message.content) }
  }
}

function userParts(content: Extract<Message, { role: 'user' }>['content'], path: string): Part[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return content.map((part, at) => userPart(part, `${path}.${at}`))
}

function userPart(part: z.infer<typeof UserPart>, path: string): Part {
  switch (part.type) {
    case 'text':
      return { type: 'text', text: part.text }
    case 'image_url':
      return imagePart(part.image_url.url, part.image_url.detail, `${path}.image_url.url`)
    case 'input_audio':
      return audioPart(part.input_audio.data, part.input_audio.format, `${path}.input_audio.data`)
    case 'file':
      return filePart(part.file.file_data, part.file.filename, `${path}.file.file_data`)
  }
}

function textOf(content: string | readonly { readonly text?: string; readonly refusal?: string }[]): string {
  if (typeof content === 'string') return content
  return content.map((part) => part.text ?? part.refusal ?? '').join('')
}
