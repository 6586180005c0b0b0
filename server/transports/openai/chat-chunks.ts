// ChatChunks: turns the pieces of a run into the chunks of a streamed chat completion; `chatCompletion` makes a whole
// one. Sent text cannot be retracted: if a run restarts, nothing is sent until the new text is longer than the sent
// text. No I/O.
import { parseMarks, type RunEnded, stringifyJson, type ToolCalled } from '@parley/protocol'
import type { PieceChange } from '@parley/protocol/run-pieces'
import { textOf } from '../../session/run-report.ts'
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

const NOTHING: ChatStep = { chunks: [] }

const RESTARTED = openAiError(
  'owner_lost',
  'The run restarted, and its new answer differs from the text already sent. Send the request again.',
)

export class ChatChunks {
  readonly #head: ChatHead
  readonly #withUsage: boolean
  /** The calls follow the whole text. */
  #calls: RunCall[] = []
  #sent = ''
  /** The text of a restarted run while it is not longer than the sent text; else undefined. */
  #repeated: string | undefined

  constructor(head: ChatHead, withUsage: boolean) {
    this.#head = head
    this.#withUsage = withUsage
  }

  take(change: PieceChange): ChatStep {
    switch (change.type) {
      case 'started':
        return { chunks: [this.#chunk({ role: 'assistant', content: '', refusal: null })] }
      case 'grew':
        if (change.kind === 'text') return this.#text(change.gap + change.text)
        // The client already has the reasoning of the first attempt.
        if (this.#repeated !== undefined || change.kind === 'input') return NOTHING
        return { chunks: [this.#chunk({ reasoning_content: change.text })] }
      case 'closed':
        if (change.kind === 'input' && change.called !== undefined) this.#calls.push(change.called)
        return NOTHING
      case 'restarted':
        this.#calls = []
        this.#repeated = ''
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

  #end(end: RunEnded): ChatStep {
    const reason = finishReason(end, this.#calls.length > 0)
    const { field } = noticesOf(end)
    if (reason === undefined) return { chunks: [{ error: runFailure(end).error, ...field }], end: 'failed' }
    if (this.#repeated !== undefined && this.#repeated !== this.#sent)
      return { chunks: [{ error: RESTARTED }], end: 'failed' }
    const callChunks = this.#calls.map((call, index) => this.#chunk({ tool_calls: [{ index, ...toolCall(call) }] }))
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
    toolCall({ call: id, name, input, marks }),
  )
  const message = {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    annotations: [],
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

function toolCall({ call, name, input, marks }: RunCall) {
  const extra = marks === undefined ? {} : { extra_content: extraContent(marks) }
  return { id: call, type: 'function', function: { name, arguments: asArguments(input) }, ...extra }
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
