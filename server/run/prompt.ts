// Prompt: the model's view of a session, for one of its runs: the conversation that its message ends, and no other
// branch. Answers follow their messages; what a person did not see of an answer is left out; every tool call has a
// result, as providers demand. Pure.
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
  /** UTF-16 code units of text; beyond, the oldest exchanges are left out. */
  readonly maxChars: number
  /** Whether reasoning of the run's own unfinished output is given back to the model. */
  readonly keepReasoning: boolean
}

/** Ends with the run's own message and what the run has put out so far. */
export function buildPrompt(state: SessionState, run: RunRecord, options: PromptOptions): LanguageModelV3Prompt {
  const runs = new Map([...state.ended.values(), ...state.open].map((view) => [view.message, view]))
  const messages = new Map(state.messages.map((message) => [message.event.id, message.event]))
  const path = pathTo(state.messages, run.message)
  const placed = new Set(path.flatMap(({ event }) => takenMessages(runs.get(event.id)?.output)))
  const given = givenResults(runs.values(), path)
  const exchanges: LanguageModelV3Message[][] = []
  for (const { event } of path) {
    if (placed.has(event.id)) continue
    const view = runs.get(event.id)
    const own = view?.id === run.id
    const answer =
      view === undefined || (!own && view.phase !== 'ended')
        ? []
        : answerMessages(view, messages, given, { whole: own, keepReasoning: own && options.keepReasoning })
    exchanges.push(...historyOf(event, new Set(given.keys())), [...asked(event), ...answer])
  }
  const own = messages.get(run.message)?.context?.instructions
  const instructions = [options.system, own, ...standingOrders(path)].filter((text) => text !== undefined)
  const system: LanguageModelV3Message[] =
    instructions.length === 0 ? [] : [{ role: 'system', content: instructions.join('\n\n') }]
  return [...system, ...joinUsers(newest(exchanges, options.maxChars).flat())]
}

/** What the conversations that messages brought along say in the name of the system. */
function standingOrders(path: readonly MessageState[]): readonly string[] {
  return path
    .flatMap(({ event }) => event.context?.history ?? [])
    .flatMap((message) => (message.role === 'system' ? [message.text] : []))
}

/** A message may bring nothing but the results of calls. */
function asked(event: MessageEvent): LanguageModelV3Message[] {
  return event.content.length === 0 ? [] : [userMessage(event)]
}

type GivenResults = ReadonlyMap<string, { readonly output: unknown }>

/** Of calls that the session's own runs left to the caller: by the call's id, what a later message says of it. */
function givenResults(runs: Iterable<RunRecord>, path: readonly MessageState[]): GivenResults {
  const calls = new Set([...runs].flatMap((view) => [...view.calls.keys()]))
  const results = new Map<string, { readonly output: unknown }>()
  for (const { event } of path) {
    for (const message of event.context?.history ?? []) {
      if (message.role === 'tool' && calls.has(message.call)) results.set(message.call, { output: message.output })
    }
  }
  return results
}

/** What a message brings of the conversation before it; results of the session's own calls stand with those. */
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
      const said: LanguageModelV3Message = { role: 'assistant', content }
      const exchange = exchanges.at(-1)
      if (exchange === undefined) exchanges.push([said])
      else exchange.push(said)
    }
  }
  return exchanges
}

export function userMessage(event: MessageEvent): LanguageModelV3Message {
  return { role: 'user', content: event.content.map(asModelPart) }
}

/** A tool's outcome as providers take it. */
export function toolOutput(
  result: { output?: unknown; error?: string | undefined } | undefined,
): LanguageModelV3ToolResultOutput {
  if (result === undefined) return { type: 'error-text', value: 'The call was given up: its run was ended.' }
  if (result.error !== undefined) return { type: 'error-text', value: result.error }
  if (typeof result.output === 'string') return { type: 'text', value: result.output }
  return { type: 'json', value: (result.output ?? null) as JSONValue }
}

/** Tool inputs are objects to every provider; a broken one is shown as what it was. */
export function toolInput(input: unknown): unknown {
  return typeof input === 'object' && input !== null && !Array.isArray(input) ? input : { input }
}

function answerMessages(
  view: RunRecord,
  messages: ReadonlyMap<string, MessageEvent>,
  given: GivenResults,
  { whole, keepReasoning }: { readonly whole: boolean; readonly keepReasoning: boolean },
): LanguageModelV3Message[] {
  const parts = toParts(view.output)
  // A run that goes on goes on from all that it said, however much of it somebody had seen when they wrote.
  const seen = whole || view.seen === undefined ? parts : markUnseen(parts, view.seen)
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
      const number = view.calls.get(part.call)?.step
      if (step.number !== undefined && step.number !== number) flush()
      step.number = number
      addCall(step, view, part, given)
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
  /** The model call whose calls it holds. */
  number: number | undefined
  readonly content: Content
  readonly results: Results
}

function newStep(): Step {
  return { number: undefined, content: [], results: [] }
}

function addCall(step: Step, view: RunRecord, part: Extract<OutputPart, { type: 'tool' }>, given: GivenResults): void {
  const call = view.calls.get(part.call)
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

/** The newest exchanges that fit; the last one always. */
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

/** Some providers refuse two user messages in a row: they become one. */
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
