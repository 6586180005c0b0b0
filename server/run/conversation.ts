// Conversation: the model's view of a session for one run: the conversation that ends with the run's message, without other branches.
// Answers follow their messages. The unseen part of an answer is left out. It is the same for all models; provider-prompt.ts adapts it
// to the rules of each. Pure.
import type {
  JSONValue,
  LanguageModelV3FilePart,
  LanguageModelV3Message,
  LanguageModelV3TextPart,
  LanguageModelV3ToolResultOutput,
  SharedV3ProviderOptions,
} from '@ai-sdk/provider'
import type { ContextMessage, FilePart, MessageEvent, NumberedPart, OutputPart, Part } from '@parley/protocol'
import { AGENT_MESSAGE, AGENT_RESULTS } from '@parley/protocol/pieces/hidden-data'
import { agentMarks } from '../model/agui/interrupts.ts'
import type { Turn } from '../model/newest-turns.ts'
import { type MarkedCall, markedContent } from '../model/provider-marks.ts'
import type { Conversation } from '../model/provider-prompt.ts'
import { pathTo } from '../session/state/message-tree.ts'
import { markUnseen, takenMessages, toParts } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findCall, type MessageState, type SessionState } from '../session/state/session-state.ts'
import { askedMessage } from './agent/agents.ts'

export interface ConversationOptions {
  readonly system?: string | undefined
  /** Whether the model gets the reasoning of the run's own unfinished output. */
  readonly keepReasoning: boolean
  /** Whether the state lacks a part of the conversation. */
  readonly isCut?: boolean
  /** The id of the model. It gets back what its provider wants with calls, which other models do not get. */
  readonly model: string
  /** Messages have their ids, for remote agents. */
  readonly named?: boolean | undefined
}

/** Its last turn is the run's own message and its output so far, with the calls whose results that message carries. */
export function conversationOf(state: SessionState, run: RunRecord, options: ConversationOptions): Conversation {
  const runs = new Map([...state.ended.values(), ...state.open].map((record) => [record.message, record]))
  const messages = new Map(state.messages.map((message) => [message.event.id, message.event]))
  const path = pathTo(state.messages, run.message)
  const placed = new Set(path.flatMap(({ event }) => takenMessages(runs.get(event.id)?.output)))
  const given = givenResults(runs.values(), path)
  const turns: Turn[] = []
  for (const { event } of path) {
    if (placed.has(event.id)) continue
    const found = runs.get(event.id)
    const own = found?.id === run.id
    const record = own ? run : found
    if (!own && isRefused(record)) {
      turns.push({ messages: [{ role: 'user', content: [{ type: 'text', text: REFUSED }] }], arranged: false })
      continue
    }
    const answer =
      record === undefined || (!own && record.phase !== 'ended')
        ? []
        : answerMessages(record, messages, given, {
            whole: own,
            keepReasoning: own && options.keepReasoning,
            model: options.model,
            named: options.named,
          })
    const arranged = event.door === 'openai' || event.context?.history !== undefined
    for (const exchange of [
      ...historyOf(event, new Set(given.keys()), options.model),
      [...asked(event, options.named), ...answer],
    ]) {
      const before = turns.at(-1)
      // Results of calls, and the answer to them, belong to the exchange of those calls: without it, they mean nothing.
      if (before !== undefined && exchange[0]?.role !== 'user') before.messages.push(...exchange)
      else turns.push({ messages: exchange, arranged })
    }
  }
  const own = messages.get(run.message)?.context?.instructions
  const system = [options.system, own].filter((text) => text !== undefined)
  return { system, turns, isCut: options.isCut ?? false }
}

/** The model's view of a child run: the message of the agent that asked, and the run's output so far. */
export function askedConversation(state: SessionState, run: RunRecord, options: ConversationOptions): Conversation {
  const asked = findCall(state, run.parent?.call ?? '')?.call
  const message: LanguageModelV3Message = {
    role: 'user',
    content: [{ type: 'text', text: askedMessage(asked?.input) }],
  }
  const { keepReasoning, model, system } = options
  const answer = answerMessages(run, new Map(), new Map(), { whole: true, keepReasoning, model })
  const turns = [{ messages: [message, ...answer], arranged: false }]
  return { system: system === undefined ? [] : [system], turns, isCut: false }
}

const REFUSED = '[A message that the model provider refused because of its content]'

/** The provider refused the message itself, or what its tools returned, so it would refuse every later prompt with it. */
function isRefused(record: RunRecord | undefined): boolean {
  const error = record?.ended?.error
  return error?.code === 'content_filtered' && (record?.output === undefined || error.providerStatus !== undefined)
}

/** Whether the prompt must be complete. By default, callers of OpenAI's API get the provider's error if it is too long. */
export function isWhole(message: MessageEvent | undefined): boolean {
  const byDefault = message?.door === 'openai' ? 'disabled' : 'auto'
  return (message?.context?.sampling?.truncation ?? byDefault) === 'disabled'
}

/** Empty for a message that carries only results of calls. */
function asked(event: MessageEvent, named?: boolean): LanguageModelV3Message[] {
  return event.content.length === 0 ? [] : [userMessage(event, named)]
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
  for (const message of history) {
    if (message.role === 'tool') {
      if (known.has(message.call)) continue
      const toolName = names.get(message.call) ?? 'unknown'
      const output = toolOutput({ output: message.output })
      add(
        { role: 'tool', content: [{ type: 'tool-result', toolCallId: message.call, toolName, output }] },
        ...filesOf(message.call, toolName, message),
      )
    } else if (message.role === 'system') {
      add({ role: 'system', content: message.text })
    } else if (message.role === 'user') {
      exchanges.push([{ role: 'user', content: message.content.map(asModelPart) }])
    } else {
      const text = message.text ?? ''
      const calls = (message.calls ?? []).map(({ call, name, input, marks }) => ({
        part: { type: 'tool-call' as const, toolCallId: call, toolName: name, input },
        marks,
      }))
      const content = markedContent(text === '' ? [] : [{ type: 'text', text }], calls, model)
      if (content.length === 0) continue
      add({ role: 'assistant', content })
    }
  }
  return exchanges
}

/** The files of a tool's result, as a user message: most providers take only text as a result. */
function filesOf(call: string, name: string, { files = [] }: Pick<Given, 'files'>): LanguageModelV3Message[] {
  if (files.length === 0) return []
  const text = `Files in the result of ${name} (${call}):`
  return [{ role: 'user', content: [{ type: 'text', text }, ...files.map(asModelPart)] }]
}

/** @param named whether each part says which message it belongs to */
export function userMessage({ id, content }: MessageEvent, named = false): LanguageModelV3Message {
  const parts = content.map(asModelPart)
  const providerOptions = { agui: { message: id } }
  return { role: 'user', content: named ? parts.map((part) => ({ ...part, providerOptions })) : parts }
}

type ToolResultFields = { readonly output?: unknown; readonly error?: string | undefined }

/** A tool's result in the form that providers expect. */
export function toolOutput(result: ToolResultFields): LanguageModelV3ToolResultOutput {
  if (result.error !== undefined) return { type: 'error-text', value: result.error }
  if (typeof result.output === 'string') return { type: 'text', value: result.output }
  return { type: 'json', value: (result.output ?? null) as JSONValue }
}

function answerMessages(
  record: RunRecord,
  messages: ReadonlyMap<string, MessageEvent>,
  given: GivenResults,
  {
    whole,
    keepReasoning,
    model,
    named,
  }: Pick<ConversationOptions, 'keepReasoning' | 'model' | 'named'> & { readonly whole: boolean },
): LanguageModelV3Message[] {
  const parts = toParts(record.output)
  // A resumed run continues from its whole output, however much of it a person had seen.
  const seen = whole || record.seen === undefined ? parts : markUnseen(parts, record.seen)
  const result: LanguageModelV3Message[] = []
  const resultIds = new Map(parts.flatMap(resultIdsIn))
  let step = newStep()
  const flush = (): void => {
    const content = markedContent(step.content, step.calls, model)
    if (content.length > 0) result.push({ role: 'assistant', content })
    if (step.results.length > 0) result.push({ role: 'tool', content: step.results })
    result.push(...step.files)
    step = newStep()
  }
  /** The message of the remote agent that the text belongs to. */
  let mark: { readonly providerOptions?: SharedV3ProviderOptions } = {}
  for (const part of seen) {
    if (part.type === 'message') {
      flush()
      const event = messages.get(part.message)
      if (event !== undefined) result.push(userMessage(event, named))
    } else if (part.type === 'tool') {
      const number = record.calls.get(part.call)?.step
      if (step.number !== undefined && step.number !== number) flush()
      step.number = number
      addCall(step, record, part, given, resultIds)
    } else if (part.type === 'data' && part.name === AGENT_MESSAGE) {
      mark = named === true ? { providerOptions: { agui: { message: idIn(part.data) } } } : {}
    } else {
      const own = part.unseen === true ? undefined : asAnswerPart(part, keepReasoning)
      if (own === undefined) continue
      // Text after a call belongs to the next model call.
      if (step.calls.length > 0) flush()
      step.content.push(own.type === 'text' ? { ...own, ...mark } : own)
    }
  }
  flush()
  return result
}

/** The ids by which a remote agent knows results, with those of the calls. */
function resultIdsIn(part: ReturnType<typeof toParts>[number]): [string, string][] {
  if (part.type !== 'data' || part.name !== AGENT_RESULTS) return []
  return Object.entries(part.data ?? {}).map(([call, id]) => [call, String(id)])
}

function idIn(data: unknown): string {
  return typeof data === 'object' && data !== null && 'id' in data ? String(data.id) : ''
}

/** As the AI SDK does, sources stay out of prompts, and files of the answer are part of it. Data is for people alone. */
function asAnswerPart(part: NumberedPart, keepReasoning: boolean): Content[number] | undefined {
  if (part.type === 'file') return answerFile(part)
  if (part.type !== 'text' && (part.type !== 'reasoning' || !keepReasoning)) return undefined
  return part.text === '' ? undefined : { type: part.type, text: part.text }
}

/** A file of an answer. Models get its content only if it is inline. */
export function answerFile({ mediaType, name, url }: FileOutput): Content[number] {
  const data = url?.startsWith('data:') === true ? url.slice(url.indexOf(',') + 1) : undefined
  if (data === undefined) return { type: 'text', text: `[File ${name ?? 'file'}, ${mediaType}]` }
  return { type: 'file', mediaType, data, ...(name === undefined ? {} : { filename: name }) }
}

type FileOutput = Pick<Extract<NumberedPart, { type: 'file' }>, 'mediaType' | 'name' | 'url'>
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
  ids: ReadonlyMap<string, string>,
): void {
  const call = record.calls.get(part.call)
  const fromCaller = call?.result === undefined ? given.get(part.call) : undefined
  if (fromCaller !== undefined) step.files.push(...filesOf(part.call, part.name, fromCaller))
  step.calls.push({
    part: { type: 'tool-call', toolCallId: part.call, toolName: part.name, input: call?.input ?? {} },
    marks: call?.marks,
  })
  const result = call?.result ?? fromCaller
  if (result === undefined) return
  const id = ids.get(part.call) ?? agentMarks('marks' in result ? result.marks : undefined).result
  step.results.push(resultPart(part.call, part.name, result, id))
}

/** @param id of the result, by which a remote agent recognises its own */
export function resultPart(
  call: string,
  name: string,
  result: ToolResultFields,
  id: string | undefined,
): Results[number] {
  const mark = id === undefined ? {} : { providerOptions: { agui: { result: id } } }
  return { type: 'tool-result', toolCallId: call, toolName: name, output: toolOutput(result), ...mark }
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
