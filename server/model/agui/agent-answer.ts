// AgentAnswer: the events of one request to a remote agent as the parts of a model's answer. It closes what the agent leaves open, and
// tells the agent's own calls, which it only reports, from those that it asks the run to make. Pure.
//
//   call of an offered tool     held until the end of the answer, or until the agent reports its result
//   call of another tool        the agent's own: reported at its end, its result when the agent has it. Without arguments, it is held
//                               as well: LangGraph may tell them only in its list of messages
import type { LanguageModelV3StreamPart } from '@ai-sdk/provider'
import { LIMITS } from '@parley/protocol'
import { ProviderStreamError } from '../provider-failure.ts'
import type { AgentEvent, AgentUsage } from './agent-event.ts'
import type { AgentPart } from './agent-part.ts'
import { newItems, type SnapshotItem } from './agent-snapshot.ts'
import type { AgentState } from './agent-state.ts'
import { legacyInterrupt, ON_INTERRUPT } from './interrupts.ts'

type Part = LanguageModelV3StreamPart
type Event<Type extends AgentEvent['type']> = Extract<AgentEvent, { type: Type }>

/** Calls of one answer. */
const MAX_CALLS = 128
/** UTF-16 code units of one call's arguments. */
const MAX_ARGUMENTS = 256 * 1024
/** UTF-16 code units of the agent's id of a result. A longer one is not kept. */
const MAX_ID = 512
/** Milliseconds between two reports of the state. The last one is always reported. */
const STATE_MS = 250

interface Call {
  readonly id: string
  readonly name: string
  message: string | undefined
  input: string
  phase: 'open' | 'ended' | 'reported' | 'over'
}

export interface AgentAnswerOptions {
  /** The names of the tools that the run makes for the agent. */
  readonly offered: ReadonlySet<string>
  /** The ids of the messages and calls in the request. */
  readonly sent: ReadonlySet<string>
  /** The ids of calls that the agent makes only now, because it has waited for people. */
  readonly pending: ReadonlySet<string>
  readonly state: AgentState
  /** Milliseconds by a steady clock. */
  readonly now: () => number
}

export class AgentAnswer {
  readonly #options: AgentAnswerOptions
  readonly #calls = new Map<string, Call>()
  /** Messages whose text is left out: they are not the agent's. */
  readonly #foreign = new Set<string>()
  readonly #texts = new Map<string, string[]>()
  /** The message that grows. */
  #open: { readonly id: string; readonly kind: 'text' | 'reasoning' } | undefined
  /** What chunks without an id continue. */
  #chunk: { text?: string; call?: string } = {}
  #snapshot: Event<'MESSAGES_SNAPSHOT'>['messages'] = []
  /** The ids under which the agent reported results, by those of the calls. */
  readonly #results = new Map<string, string | undefined>()
  readonly #legacy: unknown[] = []
  #stateAt = Number.NEGATIVE_INFINITY
  #stateDue = false

  constructor(options: AgentAnswerOptions) {
    this.#options = options
  }

  /** @returns the parts that follow; the last one of an answer is `finish` or `error` */
  take(event: AgentEvent): Part[] {
    const parts = this.#take(event)
    if (!this.#stateDue || this.#options.now() - this.#stateAt < STATE_MS) return parts
    return [...parts, ...this.#reportState()]
  }

  #take(event: AgentEvent): Part[] {
    switch (event.type) {
      case 'TEXT_MESSAGE_START':
        if (isForeign(event.role)) this.#foreign.add(event.messageId)
        return this.#close()
      case 'TEXT_MESSAGE_CONTENT':
        return this.#text(event.subagentRunId ? 'reasoning' : 'text', event.messageId, event.delta)
      case 'TEXT_MESSAGE_CHUNK': {
        const id = event.messageId ?? this.#chunk.text ?? ''
        this.#chunk = { text: id }
        if (isForeign(event.role)) this.#foreign.add(id)
        return this.#text(event.subagentRunId ? 'reasoning' : 'text', id, event.delta ?? '')
      }
      case 'TEXT_MESSAGE_END':
        return this.#open?.id === event.messageId ? this.#close() : []
      case 'REASONING_MESSAGE_CONTENT':
        return this.#text('reasoning', event.messageId, event.delta)
      case 'REASONING_MESSAGE_CHUNK':
        return this.#text('reasoning', event.messageId ?? '', event.delta ?? '')
      case 'THINKING_TEXT_MESSAGE_CONTENT':
        return this.#text('reasoning', '', event.delta)
      case 'TOOL_CALL_START':
        return this.#begin(event.toolCallId, event.toolCallName, event.parentMessageId)
      case 'TOOL_CALL_ARGS':
        return this.#grow(event.toolCallId, event.delta)
      case 'TOOL_CALL_END':
        return this.#end(event.toolCallId)
      case 'TOOL_CALL_CHUNK':
        return this.#callChunk(event)
      case 'TOOL_CALL_RESULT':
        return this.#result(event)
      case 'STATE_SNAPSHOT':
        this.#options.state.replace(event.snapshot)
        this.#stateDue = true
        return []
      case 'STATE_DELTA':
        this.#options.state.change(event.delta)
        this.#stateDue = true
        return []
      case 'MESSAGES_SNAPSHOT':
        this.#snapshot = event.messages
        return []
      case 'CUSTOM':
        if (event.name === ON_INTERRUPT) this.#legacy.push(event.value)
        return []
      case 'RUN_ERROR':
        return [{ type: 'error', error: runError(event) }]
      case 'RUN_FINISHED':
        return this.#finish(event)
    }
  }

  #text(kind: 'text' | 'reasoning', id: string, delta: string): Part[] {
    if (this.#foreign.has(id) || delta === '') return []
    const before = this.#open?.id === id && this.#open.kind === kind ? [] : this.#opened(kind, id)
    if (kind === 'text') this.#texts.get(id)?.push(delta)
    return [...before, { type: kind === 'text' ? 'text-delta' : 'reasoning-delta', id, delta }]
  }

  #opened(kind: 'text' | 'reasoning', id: string): Part[] {
    const before = [...this.#close(), ...this.#endChunkedCall()]
    this.#open = { id, kind }
    if (kind !== 'text') return before
    if (!this.#texts.has(id)) this.#texts.set(id, [])
    return [...before, raw({ type: 'message', id })]
  }

  /** The message that grows is complete, at least for now. */
  #close(): Part[] {
    const open = this.#open
    this.#open = undefined
    if (open === undefined) return []
    if (open.kind === 'reasoning') return [{ type: 'reasoning-end', id: open.id }]
    return [{ type: 'text-end', id: open.id, providerMetadata: { agui: { message: open.id } } }]
  }

  #begin(id: string, name: string, message: string | null | undefined): Part[] {
    // LangGraph begins a call again that it has asked people about.
    if (this.#calls.has(id) || this.#options.pending.has(id)) return []
    if (this.#calls.size >= MAX_CALLS) throw new ProviderStreamError('provider_garbage', TOO_MANY_CALLS)
    const parts = [...this.#close(), ...this.#endChunkedCall()]
    this.#calls.set(id, { id, name, message: message ?? undefined, input: '', phase: 'open' })
    return [...parts, { type: 'tool-input-start', id, toolName: name }]
  }

  #grow(id: string, delta: string): Part[] {
    const call = this.#calls.get(id)
    if (call?.phase !== 'open') return []
    if (call.input.length + delta.length > MAX_ARGUMENTS)
      throw new ProviderStreamError('provider_garbage', TOO_LONG_ARGUMENTS)
    call.input += delta
    return delta === '' ? [] : [{ type: 'tool-input-delta', id, delta }]
  }

  #callChunk(event: Event<'TOOL_CALL_CHUNK'>): Part[] {
    const id = event.toolCallId ?? this.#chunk.call
    if (id === undefined) throw new ProviderStreamError('provider_garbage', NAMELESS_CHUNK)
    const parts = this.#chunk.call === id ? [] : this.#endChunkedCall()
    const begun =
      this.#calls.has(id) || event.toolCallName == null
        ? []
        : this.#begin(id, event.toolCallName, event.parentMessageId)
    this.#chunk = { call: id }
    return [...parts, ...begun, ...this.#grow(id, event.delta ?? '')]
  }

  /** A call in chunks ends where anything else begins. */
  #endChunkedCall(): Part[] {
    const { call } = this.#chunk
    this.#chunk = {}
    return call === undefined ? [] : this.#end(call)
  }

  #end(id: string): Part[] {
    const call = this.#calls.get(id)
    if (call?.phase !== 'open') return []
    call.phase = 'ended'
    const ended: Part[] = [{ type: 'tool-input-end', id }]
    const isHeldBack = this.#options.offered.has(call.name) || call.input === ''
    return isHeldBack ? ended : [...ended, ...this.#report(call)]
  }

  /** A call that the agent makes itself. */
  #report(call: Call): Part[] {
    call.phase = 'reported'
    return [{ ...callPart(call), providerExecuted: true, dynamic: true }]
  }

  #result({ messageId, toolCallId, content }: Event<'TOOL_CALL_RESULT'>): Part[] {
    const call = this.#calls.get(toolCallId)
    if (call?.phase === 'over') return []
    const before = call === undefined ? [] : [...this.#end(toolCallId), ...(isHeld(call) ? this.#report(call) : [])]
    if (call !== undefined) call.phase = 'over'
    const result = textIn(content)
    const isTooLarge = Buffer.byteLength(result) > LIMITS.toolOutputBytes
    const id = messageId != null && messageId !== '' && messageId.length <= MAX_ID ? messageId : undefined
    if (this.#results.size < MAX_CALLS) this.#results.set(toolCallId, id)
    return [...before, resultPart(toolCallId, isTooLarge ? TOO_LARGE_RESULT : result, isTooLarge, id)]
  }

  #finish({ outcome, usage }: Event<'RUN_FINISHED'>): Part[] {
    const parts = [...this.#close(), ...this.#endChunkedCall()]
    const items = newItems(this.#snapshot, this.#options.sent)
    parts.push(...this.#unstreamed(items))
    if (this.#stateDue) parts.push(...this.#reportState())
    const interrupts =
      outcome?.type === 'interrupt'
        ? (outcome.interrupts ?? [])
        : this.#legacy.map((value, at) => legacyInterrupt(value, at))
    const interrupted = new Set(interrupts.map(({ toolCallId }) => toolCallId))
    for (const call of this.#calls.values()) {
      parts.push(...this.#end(call.id))
      if (!isHeld(call)) continue
      // An agent that asks for a decision about a call makes it itself.
      const isAsked = this.#options.offered.has(call.name) && !interrupted.has(call.id)
      parts.push(...(isAsked ? [callPart(call)] : this.#report(call)))
    }
    parts.push(...this.#resultsIn(items))
    if (interrupts.length > 0) parts.push(raw({ type: 'interrupts', interrupts }))
    return [...parts, { type: 'finish', usage: usageOf(usage ?? []), finishReason: { unified: 'stop', raw: 'stop' } }]
  }

  /** Texts, calls and arguments that the agent did not stream. */
  #unstreamed(items: readonly SnapshotItem[]): Part[] {
    const known = new Set([...this.#texts.values()].map((deltas) => deltas.join('')))
    return items.flatMap((item): Part[] => {
      if (item.type === 'text') {
        if (this.#texts.has(item.id) || known.has(item.text)) return []
        return [...this.#text('text', item.id, item.text), ...this.#close()]
      }
      if (item.type !== 'call') return []
      const call = this.#calls.get(item.id)
      if (call !== undefined && (call.phase === 'reported' || call.phase === 'over' || call.input !== '')) return []
      const before = call === undefined ? this.#begin(item.id, item.name, item.message) : []
      const open = this.#calls.get(item.id)
      if (open !== undefined) Object.assign(open, { phase: 'open', message: open.message ?? item.message })
      return [...before, ...this.#grow(item.id, item.input), ...this.#end(item.id)]
    })
  }

  /** Results that the agent did not report, and the lasting ids of those that it did. */
  #resultsIn(items: readonly SnapshotItem[]): Part[] {
    const ids: [string, string][] = []
    const parts = items.flatMap((item): Part[] => {
      if (item.type !== 'result') return []
      const { id, call, text } = item
      // The run makes this call.
      if (isHeld(this.#calls.get(call))) return []
      if (this.#results.get(call) !== id && id.length <= MAX_ID) ids.push([call, id])
      if (this.#results.has(call)) return []
      // The run may have its own, of a call that people have denied.
      return this.#result({ type: 'TOOL_CALL_RESULT', messageId: id, toolCallId: call, content: text })
    })
    return ids.length === 0 ? parts : [...parts, raw({ type: 'results', ids })]
  }

  #reportState(): Part[] {
    this.#stateDue = false
    this.#stateAt = this.#options.now()
    return [raw({ type: 'state', state: this.#options.state.value })]
  }
}

function runError({ message, code }: Event<'RUN_ERROR'>): ProviderStreamError {
  const words = [message, code == null ? undefined : `(${code})`].filter((word) => word != null && word !== '')
  return new ProviderStreamError('provider_error', 'The remote agent failed', { words: words.join(' ') })
}

/** Whether the call waits for the end of the answer. */
function isHeld(call: Call | undefined): boolean {
  return call?.phase === 'ended'
}

function isForeign(role: string | null | undefined): boolean {
  return role != null && role !== 'assistant'
}

function callPart(call: Call): Extract<Part, { type: 'tool-call' }> {
  const { id, name, message, input } = call
  const mark = { call: id, ...(message === undefined ? {} : { message }) }
  return { type: 'tool-call', toolCallId: id, toolName: name, input, providerMetadata: { agui: mark } }
}

function resultPart(toolCallId: string, result: string, isError: boolean, id: string | undefined): Part {
  const mark = id === undefined ? {} : { providerMetadata: { agui: { result: id } } }
  return { type: 'tool-result', toolCallId, toolName: '', result, ...(isError ? { isError } : {}), ...mark }
}

function textIn(content: Event<'TOOL_CALL_RESULT'>['content']): string {
  if (typeof content === 'string') return content
  const isText = content.every(({ type, text }) => type === 'text' && typeof text === 'string')
  return isText ? content.map(({ text }) => text).join('') : JSON.stringify(content)
}

function usageOf(usage: readonly AgentUsage[]): Extract<Part, { type: 'finish' }>['usage'] {
  const sum = (name: keyof AgentUsage): number => usage.reduce((total, entry) => total + (entry[name] ?? 0), 0)
  const [input, output, reasoning, cacheRead, cacheWrite] = [
    sum('inputTokens'),
    sum('outputTokens'),
    sum('reasoningTokens'),
    sum('cachedInputTokens'),
    sum('cacheWriteInputTokens'),
  ]
  return {
    inputTokens: { total: input, noCache: Math.max(0, input - cacheRead - cacheWrite), cacheRead, cacheWrite },
    outputTokens: { total: output, text: Math.max(0, output - reasoning), reasoning },
  }
}

function raw(part: AgentPart): Part {
  return { type: 'raw', rawValue: part }
}

const TOO_MANY_CALLS = `The remote agent made more than ${MAX_CALLS} calls in one answer.`
const TOO_LONG_ARGUMENTS = `The remote agent sent a call with more than ${MAX_ARGUMENTS} characters of arguments.`
const NAMELESS_CHUNK = 'The remote agent sent a piece of a call that it did not name.'
const TOO_LARGE_RESULT = `The result is larger than ${LIMITS.toolOutputBytes} bytes, so it was not kept.`
