// ChatChunks: turns the pieces of a run into the chunks of a streamed chat completion; `chatCompletion` makes a whole
// one. Sent text cannot be retracted: if a run restarts, nothing is sent until the new text is longer than the sent
// text. No I/O.
import { type OutputPart, parseJson, parseMarks, type RunEnded, stringifyJson, type ToolCalled } from '@parley/protocol'
import type { PieceChange } from '@parley/protocol/run-pieces'
import { textOf, textsOf } from '../../session/run-report.ts'
import { toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { openAiError } from './openai-error.ts'
import { runFailure } from './run-failure.ts'
import { noticesOf } from './run-notices.ts'

export interface ChatHead {
  readonly id: string
  /** Unix seconds. */
  readonly created: number
  readonly model: string
}

/** The next chunks, and whether the stream ends after them: completely, or with an error. */
export interface ChatStep {
  readonly chunks: readonly object[]
  readonly end?: 'done' | 'failed'
}

export type RunCall = Pick<ToolCalled, 'call' | 'name' | 'input' | 'marks'>

/** Models whose providers want something back with calls. Others may after reasoning. */
const MARKS_CALLS = /^(anthropic|google|openai):|gemini/i

const NOTHING: ChatStep = { chunks: [] }

const RESTARTED = openAiError(
  'owner_lost',
  'The run restarted, and its new answer differs from the text already sent. Send the request again.',
)

export class ChatChunks {
  readonly #head: ChatHead
  readonly #withUsage: boolean
  /** Complete calls are reported after the whole text, except for arguments that were streamed. */
  #calls: RunCall[] = []
  /** The calls that the client has, in their order, and the arguments that it has of them. */
  readonly #streamed = new Map<string, { readonly index: number; text: string }>()
  readonly #names = new Map<string, string>()
  #sent = ''
  /** The text of a restarted run while it is not longer than the sent text; else undefined. */
  #repeated: string | undefined

  /** Clients look for what the provider wants back in a call's first chunk; it is known only with the whole call. */
  #mayBeMarked: boolean

  constructor(head: ChatHead, withUsage: boolean) {
    this.#head = head
    this.#mayBeMarked = MARKS_CALLS.test(head.model)
    this.#withUsage = withUsage
  }

  take(change: PieceChange): ChatStep {
    switch (change.type) {
      case 'started':
        return { chunks: [this.#chunk({ role: 'assistant', content: '', refusal: null })] }
      case 'grew':
        if (change.kind === 'text') return this.#text(change.gap + change.text)
        // The client already has the reasoning of the first attempt.
        if (change.kind === 'input') return this.#mayBeMarked ? NOTHING : this.#input(change)
        this.#mayBeMarked = true
        if (this.#repeated !== undefined) return NOTHING
        return { chunks: [this.#chunk({ reasoning_content: change.text })] }
      case 'opened':
        // Neither results nor child runs: the API has no field for what a server's own tools do.
        if (change.kind === 'input') this.#names.set(change.call, change.name)
        return NOTHING
      case 'source':
        if (this.#repeated !== undefined) return NOTHING
        return { chunks: [this.#chunk({ annotations: [annotation(change, this.#sent.length)] })] }
      case 'closed':
        if (change.kind === 'input' && change.called !== undefined) this.#calls.push(change.called)
        return NOTHING
      case 'restarted':
        this.#calls = []
        this.#repeated = ''
        // A call cannot be retracted either.
        if (this.#streamed.size > 0) return { chunks: [{ error: RESTARTED }], end: 'failed' }
        return NOTHING
      case 'ended':
        return this.#end(change.end)
      default:
        return NOTHING
    }
  }

  #text(text: string): ChatStep {
    let more = text
    if (this.#repeated !== undefined) {
      const repeated = this.#repeated + text
      if (this.#sent.startsWith(repeated)) {
        this.#repeated = repeated
        return NOTHING
      }
      if (!repeated.startsWith(this.#sent)) return { chunks: [{ error: RESTARTED }], end: 'failed' }
      more = repeated.slice(this.#sent.length)
      this.#repeated = undefined
    }
    this.#sent += more
    return { chunks: [this.#chunk({ content: more })] }
  }

  #input({ call, text }: Extract<PieceChange, { type: 'grew'; kind: 'input' }>): ChatStep {
    const known = this.#streamed.get(call)
    if (known !== undefined) {
      known.text += text
      return { chunks: [this.#chunk({ tool_calls: [{ index: known.index, function: { arguments: text } }] })] }
    }
    const index = this.#streamed.size
    this.#streamed.set(call, { index, text })
    const begun = { id: call, type: 'function', function: { name: this.#names.get(call) ?? '', arguments: text } }
    return { chunks: [this.#chunk({ tool_calls: [{ index, ...begun }] })] }
  }

  /** What the client lacks of a call. */
  #rest(call: RunCall): object[] {
    const streamed = this.#streamed.get(call.call)
    if (streamed === undefined) {
      const index = this.#streamed.size
      this.#streamed.set(call.call, { index, text: '' })
      return [this.#chunk({ tool_calls: [{ index, ...toolCall(call) }] })]
    }
    return []
  }

  #end(end: RunEnded): ChatStep {
    const reason = finishReason(end, this.#calls.length > 0)
    const { field } = noticesOf(end)
    if (reason === undefined) return { chunks: [{ error: runFailure(end).error, ...field }], end: 'failed' }
    if (this.#repeated !== undefined && this.#repeated !== this.#sent)
      return { chunks: [{ error: RESTARTED }], end: 'failed' }
    const callChunks = this.#calls.flatMap((call) => this.#rest(call))
    const usage = this.#withUsage ? [{ ...this.#frame(), choices: [], usage: usageOf(end) }] : []
    return { chunks: [...callChunks, { ...this.#chunk({}, reason), ...field }, ...usage], end: 'done' }
  }

  #chunk(delta: object, finish: string | null = null): object {
    const choice = { index: 0, delta, logprobs: null, finish_reason: finish }
    return { ...this.#frame(), choices: [choice], ...(this.#withUsage ? { usage: null } : {}) }
  }

  #frame(): object {
    return { id: this.#head.id, object: 'chat.completion.chunk', created: this.#head.created, model: this.#head.model }
  }
}

/** @returns undefined for a failed or cancelled run */
export function chatCompletion(head: ChatHead, record: RunRecord): object | undefined {
  const { ended } = record
  if (ended === undefined) return undefined
  const reason = finishReason(ended, record.calls.size > 0)
  if (reason === undefined) return undefined
  const parts = toParts(record.output)
  const text = textOf(parts)
  const reasoning = parts.map((part) => (part.type === 'reasoning' ? part.text : '')).join('')
  const calls = [...record.calls.values()].map(({ id, name, input, marks }) =>
    toolCall({ call: id, name, input, marks }, streamedText(parts, id)),
  )
  const message = {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    annotations: annotationsOf(parts),
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: reason }],
    usage: usageOf(ended),
    ...noticesOf(ended).field,
  }
}

function toolCall({ call, name, input, marks }: RunCall, streamed?: string) {
  const extra = marks === undefined ? {} : { extra_content: extraContent(marks) }
  return { id: call, type: 'function', function: { name, arguments: argumentsOf(input, streamed) }, ...extra }
}

function streamedText(parts: readonly OutputPart[], call: string): string {
  return parts.map((part) => (part.type === 'input' && part.call === call ? part.text : '')).join('')
}

interface Source {
  readonly url: string
  readonly title?: string | undefined
}

/** A source as OpenAI's API has it. @param at its place in the text */
export function citation({ url, title }: Source, at: number): object {
  return { start_index: at, end_index: at, title: title ?? url, url }
}

function annotation(source: Source, at: number): object {
  return { type: 'url_citation', url_citation: citation(source, at) }
}

function annotationsOf(parts: readonly OutputPart[]): object[] {
  const texts = textsOf(parts)
  return parts.flatMap((part, at) =>
    part.type === 'source' && part.unseen !== true ? [annotation(part, texts.slice(0, at).join('').length)] : [],
  )
}

/** The arguments as the model wrote them, if they were streamed and mean the same; else as JSON. */
export function argumentsOf(input: RunCall['input'], streamed = ''): string {
  const whole = asArguments(input)
  if (streamed === '' || streamed === whole) return whole
  try {
    return stringifyJson(parseJson(streamed)) === whole ? streamed : whole
  } catch {
    return whole
  }
}

/** Clients that know Gemini's API over OpenAI's format return its signature. Others return what they do not know, or nothing. */
function extraContent(marks: string): object {
  const signature = parseMarks(marks)?.call?.google?.thoughtSignature
  return { ...(signature === undefined ? {} : { google: { thought_signature: signature } }), parley: { marks } }
}

/** The text that the model wrote, or else the input as JSON. */
export function asArguments(input: RunCall['input']): string {
  return typeof input === 'string' ? input : stringifyJson(input ?? {})
}

/** @returns undefined for a failed or cancelled run */
function finishReason({ reason, error, cut }: RunEnded, hasCalls: boolean): string | undefined {
  if (error?.code === 'token_limit') return 'length'
  if (error?.code === 'content_filtered') return 'content_filter'
  if (reason !== 'completed') return undefined
  if (cut === true) return 'length'
  return hasCalls ? 'tool_calls' : 'stop'
}

function usageOf({ usage }: RunEnded): object {
  const { inputTokens, outputTokens, reasoningTokens, cachedTokens = 0, cacheWriteTokens = 0 } = usage
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: cacheWriteTokens },
    ...(reasoningTokens === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  }
}
