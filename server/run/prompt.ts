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
} from '@ai-sdk/provider'
import type { MessageEvent, OutputPart, Part } from '@parley/protocol'
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
}

/** Ends with the run's own message and its output so far. */
export function buildPrompt(state: SessionState, run: RunRecord, options: PromptOptions): LanguageModelV3Prompt {
  const runs = new Map([...state.ended.values(), ...state.open].map((record) => [record.message, record]))
  const messages = new Map(state.messages.map((message) => [message.event.id, message.event]))
  const path = pathTo(state.messages, run.message)
  const placed = new Set(path.flatMap(({ event }) => takenMessages(runs.get(event.id)?.output)))
  const given = givenResults(runs.values(), path)
  const exchanges: LanguageModelV3Message[][] = []
  for (const { event } of path) {
    if (placed.has(event.id)) continue
    const record = runs.get(event.id)
    const own = record?.id === run.id
    const answer =
      record === undefined || (!own && record.phase !== 'ended')
        ? []
        : answerMessages(record, messages, given, { whole: own, keepReasoning: own && options.keepReasoning })
    exchanges.push(...historyOf(event, new Set(given.keys())), [...asked(event), ...answer])
  }
  const own = messages.get(run.message)?.context?.instructions
  const instructions = [options.system, own, ...systemMessages(path)].filter((text) => text !== undefined)
  const system: LanguageModelV3Message[] =
    instructions.length === 0 ? [] : [{ role: 'system', content: instructions.join('\n\n') }]
  return [...system, ...joinUsers(newest(exchanges, options.maxChars).flat())]
}

/** System messages of the histories that messages carry. */
function systemMessages(path: readonly MessageState[]): readonly string[] {
  return path
    .flatMap(({ event }) => event.context?.history ?? [])
    .flatMap((message) => (message.role === 'system' ? [message.text] : []))
}

/** Empty for a message that carries only results of calls. */
function asked(event: MessageEvent): LanguageModelV3Message[] {
  return event.content.length === 0 ? [] : [userMessage(event)]
}

type GivenResults = ReadonlyMap<string, { readonly output: unknown }>

/** Results of calls that runs left to the caller, from later messages, by the call's id. */
function givenResults(runs: Iterable<RunRecord>, path: readonly MessageState[]): GivenResults {
  const calls = new Set([...runs].flatMap((record) => [...record.calls.keys()]))
  const results = new Map<string, { readonly output: unknown }>()
  for (const { event } of path) {
    for (const message of event.context?.history ?? []) {
      if (message.role === 'tool' && calls.has(message.call)) results.set(message.call, { output: message.output })
    }
  }
  return results
}

/** The history that a message carries. Results of the session's own calls are left out: they follow those calls. */
function historyOf({ context }: MessageEvent, known: ReadonlySet<string>): LanguageModelV3Message[][] {
  const history = context?.history ?? []
  const names = new Map(
    history.flatMap((message) =>
      message.role === 'assistant' ? (message.calls ?? []).map(({ call, name }) => [call, name] as const) : [],
    ),
  )
  const exchanges: LanguageModelV3Message[][] = []
  for (const message of history) {
    if (message.role === 'system') continue
    if (message.role === 'tool') {
      if (known.has(message.call)) continue
      const toolName = names.get(message.call) ?? 'unknown'
      const output = toolOutput({ output: message.output })
      exchanges.at(-1)?.push({
        role: 'tool',
        content: [{ type: 'tool-result', toolCallId: message.call, toolName, output }],
      })
    } else if (message.role === 'user') {
      exchanges.push([{ role: 'user', content: message.content.map(asModelPart) }])
    } else {
      const text = message.text ?? ''
      const calls = (message.calls ?? []).map(({ call, name, input }) => ({
        type: 'tool-call' as const,
        toolCallId: call,
        toolName: name,
        input: toolInput(input),
      }))
      const content = [...(text === '' ? [] : [{ type: 'text' as const, text }]), ...calls]
      if (content.length === 0) continue
      const answer: LanguageModelV3Message = { role: 'assistant', content }
      const exchange = exchanges.at(-1)
      if (exchange === undefined) exchanges.push([answer])
      else exchange.push(answer)
    }
  }
  return exchanges
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
  { whole, keepReasoning }: { readonly whole: boolean; readonly keepReasoning: boolean },
): LanguageModelV3Message[] {
  const parts = toParts(record.output)
  // A resumed run continues from its whole output, however much of it a person had seen.
  const seen = whole || record.seen === undefined ? parts : markUnseen(parts, record.seen)
  const result: LanguageModelV3Message[] = []
  let step = newStep()
  const flush = (): void => {
    if (step.content.length > 0) result.push({ role: 'assistant', content: step.content })
    if (step.results.length > 0) result.push({ role: 'tool', content: step.results })
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
  readonly results: Results
}

function newStep(): Step {
  return { number: undefined, content: [], results: [] }
}

function addCall(
  step: Step,
  record: RunRecord,
  part: Extract<OutputPart, { type: 'tool' }>,
  given: GivenResults,
): void {
  const call = record.calls.get(part.call)
  step.content.push({
    type: 'tool-call',
    toolCallId: part.call,
    toolName: part.name,
    input: toolInput(call?.input ?? {}),
  })
  step.results.push({
    type: 'tool-result',
    toolCallId: part.call,
    toolName: part.name,
    output: toolOutput(call?.result ?? given.get(part.call)),
  })
}

function asModelPart(part: Part): LanguageModelV3TextPart | LanguageModelV3FilePart {
  if (part.type === 'text') return { type: 'text', text: part.text }
  const data = part.url === undefined ? (part.data ?? '') : new URL(part.url)
  return { type: 'file', mediaType: part.mediaType, data, ...(part.name === undefined ? {} : { filename: part.name }) }
}

/** The newest exchanges within the limit, and always the last one. */
function newest(exchanges: readonly LanguageModelV3Message[][], maxChars: number): readonly LanguageModelV3Message[][] {
  let chars = 0
  let from = exchanges.length
  while (from > 0) {
    chars += JSON.stringify(exchanges[from - 1]).length
    if (chars > maxChars && from < exchanges.length) break
    from -= 1
  }
  return exchanges.slice(from)
}

/** Some providers refuse adjacent user messages, so they are joined. */
function joinUsers(messages: readonly LanguageModelV3Message[]): LanguageModelV3Message[] {
  const joined: LanguageModelV3Message[] = []
  for (const message of messages) {
    const last = joined.at(-1)
    if (last?.role === 'user' && message.role === 'user') {
      joined[joined.length - 1] = { role: 'user', content: [...last.content, ...message.content] }
    } else {
      joined.push(message)
    }
  }
  return joined
}
