// Prompt: the model's view of a session for one run: the conversation that ends with the run's message, without other branches.
// Answers follow their messages. The unseen part of an answer is left out. Every tool call has a result, as providers require.
// Pure.
import type {
  JSONValue,
  LanguageModelV3FilePart,
  LanguageModelV3Message,
  LanguageModelV3Prompt,
  LanguageModelV3TextPart,
  LanguageModelV3ToolResultOutput,
  SharedV3ProviderOptions,
} from '@ai-sdk/provider'
import type { ContextMessage, FilePart, MessageEvent, OutputPart, Part } from '@parley/protocol'
import { type MarkedCall, markedContent } from '../model/provider-marks.ts'
import { pathTo } from '../session/state/message-tree.ts'
import { markUnseen, takenMessages, toParts } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import type { MessageState, SessionState } from '../session/state/session-state.ts'

export interface PromptOptions {
  readonly system?: string | undefined
  /** Limit in UTF-16 code units of text. The oldest exchanges beyond it are left out. */
  readonly maxChars: number
  /** Whether the model gets the reasoning of the run's own unfinished output. */
  readonly keepReasoning: boolean
  /** Whether the model takes system messages after the first other message. If not, they become marked user messages. */
  readonly laterSystem?: boolean
  /** The id of the model. It gets back what its provider wants with calls, which other models do not get. */
  readonly model: string
}

/** Ends with the run's own message and its output so far. */
export function buildPrompt(state: SessionState, run: RunRecord, options: PromptOptions): LanguageModelV3Prompt {
  const runs = new Map([...state.ended.values(), ...state.open].map((record) => [record.message, record]))
  const messages = new Map(state.messages.map((message) => [message.event.id, message.event]))
  const path = pathTo(state.messages, run.message)
  const placed = new Set(path.flatMap(({ event }) => takenMessages(runs.get(event.id)?.output)))
  const given = givenResults(runs.values(), path)
  const exchanges: LanguageModelV3Message[][] = []
  /** Messages that a caller has arranged itself, and that stay as they are. */
  const arranged = new Set<LanguageModelV3Message>()
  for (const { event } of path) {
    if (placed.has(event.id)) continue
    const record = runs.get(event.id)
    const own = record?.id === run.id
    const answer =
      record === undefined || (!own && record.phase !== 'ended')
        ? []
        : answerMessages(record, messages, given, {
            whole: own,
            keepReasoning: own && options.keepReasoning,
            model: options.model,
          })
    const history = historyOf(event, new Set(given.keys()), options.model)
    const question = asked(event)
    if (event.context?.history !== undefined) {
      for (const message of [...history.flat(), ...question]) arranged.add(message)
    }
    exchanges.push(...history, [...question, ...answer])
  }
  const own = messages.get(run.message)?.context?.instructions
  const conversation = joinUsers(newest(exchanges, options.maxChars).flat(), arranged)
  const first = conversation.findIndex(({ role }) => role !== 'system')
  const leading = conversation.slice(0, first < 0 ? conversation.length : first)
  const instructions = [options.system, own, ...leading.map(({ content }) => content)].filter(
    (text) => text !== undefined,
  )
  const system: LanguageModelV3Message[] =
    instructions.length === 0 ? [] : [{ role: 'system', content: instructions.join('\n\n') }]
  const rest = conversation.slice(leading.length)
  return [...system, ...(options.laterSystem === false ? rest.map(asMarked) : rest)]
}

/** A system message in its place, for a provider that takes system messages only at the beginning. */
function asMarked(message: LanguageModelV3Message): LanguageModelV3Message {
  if (message.role !== 'system') return message
  return { role: 'user', content: [{ type: 'text', text: `<system>\n${message.content}\n</system>` }] }
}

/** Empty for a message that carries only results of calls. */
function asked(event: MessageEvent): LanguageModelV3Message[] {
  return event.content.length === 0 ? [] : [userMessage(event)]
}

type Given = Pick<Extract<ContextMessage, { role: 'tool' }>, 'output' | 'files'>
type GivenResults = ReadonlyMap<string, Given>

/** Results of calls that runs left to the caller, from later messages, by the call's id. */
function givenResults(runs: Iterable<RunRecord>, path: readonly MessageState[]): GivenResults {
  const calls = new Set([...runs].flatMap((record) => [...record.calls.keys()]))
  const results = new Map<string, Given>()
  for (const { event } of path) {
    for (const message of event.context?.history ?? []) {
      if (message.role === 'tool' && calls.has(message.call)) results.set(message.call, message)
    }
  }
  return results
}

/** The history that a message carries. Results of the session's own calls are left out: they follow those calls. */
function historyOf({ context }: MessageEvent, known: ReadonlySet<string>, model: string): LanguageModelV3Message[][] {
  const history = context?.history ?? []
  const names = new Map(
    history.flatMap((message) =>
      message.role === 'assistant' ? (message.calls ?? []).map(({ call, name }) => [call, name] as const) : [],
    ),
  )
  const exchanges: LanguageModelV3Message[][] = []
  const add = (...messages: LanguageModelV3Message[]): void => {
    const exchange = exchanges.at(-1)
    if (exchange !== undefined) exchange.push(...messages)
    else if (messages.length > 0) exchanges.push(messages)
  }
  let files: LanguageModelV3Message[] = []
  for (const message of history) {
    if (message.role === 'tool') {
      if (known.has(message.call)) continue
      const toolName = names.get(message.call) ?? 'unknown'
      const output = toolOutput({ output: message.output })
      exchanges.at(-1)?.push({
        role: 'tool',
        content: [{ type: 'tool-result', toolCallId: message.call, toolName, output }],
      })
      files.push(...filesOf(message.call, toolName, message))
      continue
    }
    // Results of one step must follow its calls directly.
    add(...files)
    files = []
    if (message.role === 'system') {
      add({ role: 'system', content: message.text })
    } else if (message.role === 'user') {
      exchanges.push([{ role: 'user', content: message.content.map(asModelPart) }])
    } else {
      const text = message.text ?? ''
      const calls = (message.calls ?? []).map(({ call, name, input, marks }) => ({
        part: { type: 'tool-call' as const, toolCallId: call, toolName: name, input: toolInput(input) },
        marks,
      }))
      const content = markedContent(text === '' ? [] : [{ type: 'text', text }], calls, model)
      if (content.length === 0) continue
      add({ role: 'assistant', content })
    }
  }
  add(...files)
  return exchanges
}

/** The files of a tool's result, as a user message: most providers take only text as a result. */
function filesOf(call: string, name: string, { files = [] }: Pick<Given, 'files'>): LanguageModelV3Message[] {
  if (files.length === 0) return []
  const text = `Files in the result of ${name} (${call}):`
  return [{ role: 'user', content: [{ type: 'text', text }, ...files.map(asModelPart)] }]
}

export function userMessage(event: MessageEvent): LanguageModelV3Message {
  return { role: 'user', content: event.content.map(asModelPart) }
}

/** A tool's result in the form that providers expect. */
export function toolOutput(
  result: { output?: unknown; error?: string | undefined } | undefined,
): LanguageModelV3ToolResultOutput {
  if (result === undefined) return { type: 'error-text', value: 'The call was abandoned: its run ended.' }
  if (result.error !== undefined) return { type: 'error-text', value: result.error }
  if (typeof result.output === 'string') return { type: 'text', value: result.output }
  return { type: 'json', value: (result.output ?? null) as JSONValue }
}

/** Providers require objects as tool inputs; anything else is wrapped. */
export function toolInput(input: unknown): unknown {
  return typeof input === 'object' && input !== null && !Array.isArray(input) ? input : { input }
}

function answerMessages(
  record: RunRecord,
  messages: ReadonlyMap<string, MessageEvent>,
  given: GivenResults,
  { whole, keepReasoning, model }: Pick<PromptOptions, 'keepReasoning' | 'model'> & { readonly whole: boolean },
): LanguageModelV3Message[] {
  const parts = toParts(record.output)
  // A resumed run continues from its whole output, however much of it a person had seen.
  const seen = whole || record.seen === undefined ? parts : markUnseen(parts, record.seen)
  const result: LanguageModelV3Message[] = []
  let step = newStep()
  const flush = (): void => {
    const content = markedContent(step.content, step.calls, model)
    if (content.length > 0) result.push({ role: 'assistant', content })
    if (step.results.length > 0) result.push({ role: 'tool', content: step.results })
    result.push(...step.files)
    step = newStep()
  }
  for (const part of seen) {
    if (part.type === 'message') {
      flush()
      const event = messages.get(part.message)
      if (event !== undefined) result.push(userMessage(event))
    } else if (part.type === 'tool') {
      const number = record.calls.get(part.call)?.step
      if (step.number !== undefined && step.number !== number) flush()
      step.number = number
      addCall(step, record, part, given)
    } else if (part.unseen !== true && part.text !== '' && (part.type === 'text' || keepReasoning)) {
      // Text after a call belongs to the next model call.
      if (step.results.length > 0) flush()
      step.content.push({ type: part.type, text: part.text })
    }
  }
  flush()
  return result
}

type Content = Extract<LanguageModelV3Message, { role: 'assistant' }>['content']
type Results = Extract<LanguageModelV3Message, { role: 'tool' }>['content']
interface Step {
  /** The step of its tool calls. */
  number: number | undefined
  readonly content: Content
  readonly calls: MarkedCall[]
  readonly results: Results
  /** Messages with the files of the results. */
  readonly files: LanguageModelV3Message[]
}

function newStep(): Step {
  return { number: undefined, content: [], calls: [], results: [], files: [] }
}

function addCall(
  step: Step,
  record: RunRecord,
  part: Extract<OutputPart, { type: 'tool' }>,
  given: GivenResults,
): void {
  const call = record.calls.get(part.call)
  const fromCaller = call?.result === undefined ? given.get(part.call) : undefined
  if (fromCaller !== undefined) step.files.push(...filesOf(part.call, part.name, fromCaller))
  step.calls.push({
    part: { type: 'tool-call', toolCallId: part.call, toolName: part.name, input: toolInput(call?.input ?? {}) },
    marks: call?.marks,
  })
  step.results.push({
    type: 'tool-result',
    toolCallId: part.call,
    toolName: part.name,
    output: toolOutput(call?.result ?? fromCaller),
  })
}

function asModelPart(part: Part): LanguageModelV3TextPart | LanguageModelV3FilePart {
  if (part.type === 'text') return { type: 'text', text: part.text }
  const data = part.url === undefined ? (part.data ?? '') : new URL(part.url)
  const { mediaType, name, detail } = part
  return {
    type: 'file',
    mediaType,
    data,
    ...(name === undefined ? {} : { filename: name }),
    ...(detail === undefined || !mediaType.startsWith('image/') ? {} : { providerOptions: imageDetail(detail, part) }),
  }
}

/** The package for compatible servers has no option for the detail, but replaces fields of a part. */
function imageDetail(detail: string, { mediaType, url, data }: FilePart): SharedV3ProviderOptions {
  const type = mediaType === 'image/*' ? 'image/jpeg' : mediaType
  return {
    openai: { imageDetail: detail },
    openaiCompatible: { image_url: { url: url ?? `data:${type};base64,${data}`, detail } },
  }
}

/** The newest exchanges within the limit, always the last one, and the system messages of the others. */
function newest(exchanges: readonly LanguageModelV3Message[][], maxChars: number): readonly LanguageModelV3Message[][] {
  let chars = 0
  let from = exchanges.length
  while (from > 0) {
    chars += JSON.stringify(exchanges[from - 1]).length
    if (chars > maxChars && from < exchanges.length) break
    from -= 1
  }
  const system = exchanges
    .slice(0, from)
    .flat()
    .filter(({ role }) => role === 'system')
  return [system, ...exchanges.slice(from)]
}

/**
 * Joins adjacent user messages of the session, which some providers refuse.
 * @param arranged messages that stay as they are: a provider's cache knows them so
 */
function joinUsers(
  messages: readonly LanguageModelV3Message[],
  arranged: ReadonlySet<LanguageModelV3Message>,
): LanguageModelV3Message[] {
  const joined: LanguageModelV3Message[] = []
  for (const message of messages) {
    const last = joined.at(-1)
    const stays = arranged.has(message) || (last !== undefined && arranged.has(last))
    if (!stays && last?.role === 'user' && message.role === 'user') {
      joined[joined.length - 1] = { role: 'user', content: [...last.content, ...message.content] }
    } else {
      joined.push(message)
    }
  }
  return joined
}
