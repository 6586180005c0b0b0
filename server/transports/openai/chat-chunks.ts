// ChatChunks: the pieces of a run as the chunks of a streamed chat completion, and a finished run as a whole one. What was
// sent cannot be taken back: where an answer is begun anew, nothing is sent until it goes on beyond what was. Pure, but for
// what it remembers of that.
import type { RunEnded } from '@parley/protocol'
import { toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { type OpenAiError, openAiError } from './openai-error.ts'
import type { Piece, RunCall } from './run-pieces.ts'

export interface ChatHead {
  readonly id: string
  /** Unix seconds. */
  readonly created: number
  readonly model: string
}

/** What goes out next, and whether it is the last. */
export interface ChatStep {
  readonly chunks: readonly object[]
  readonly over?: 'done' | 'broken'
}

const RESTARTED = openAiError(
  'owner_lost',
  'The answer had to be begun anew, and differs from what was sent. Ask again.',
)
/** Said of an answer that somebody ended. */
export const CANCELLED = 'The answer was cancelled before its end.'

export class ChatChunks {
  readonly #head: ChatHead
  readonly #withUsage: boolean
  #sent = ''
  /** What an answer that was begun anew has said so far; undefined where it is beyond what was sent. */
  #again: string | undefined

  constructor(head: ChatHead, withUsage: boolean) {
    this.#head = head
    this.#withUsage = withUsage
  }

  take(piece: Piece): ChatStep {
    switch (piece.type) {
      case 'begun':
        return { chunks: [this.#chunk({ role: 'assistant', content: '', refusal: null })] }
      case 'text':
        if (piece.kind === 'text') return this.#text(piece.text)
        // Thought of anew: its reader has thoughts already.
        if (this.#again !== undefined) return { chunks: [] }
        return { chunks: [this.#chunk({ reasoning_content: piece.text })] }
      case 'restarted':
        this.#again = ''
        return { chunks: [] }
      case 'ended':
        return this.#end(piece.end, piece.calls)
    }
  }

  #text(text: string): ChatStep {
    let more = text
    if (this.#again !== undefined) {
      const again = this.#again + text
      if (this.#sent.startsWith(again)) {
        this.#again = again
        return { chunks: [] }
      }
      if (!again.startsWith(this.#sent)) return { chunks: [{ error: RESTARTED }], over: 'broken' }
      more = again.slice(this.#sent.length)
      this.#again = undefined
    }
    this.#sent += more
    return { chunks: [this.#chunk({ content: more })] }
  }

  #end(end: RunEnded, calls: readonly RunCall[]): ChatStep {
    const reason = finishReason(end, calls.length > 0)
    if (reason === undefined) return { chunks: [{ error: failureOf(end) }], over: 'broken' }
    if (this.#again !== undefined && this.#again !== this.#sent)
      return { chunks: [{ error: RESTARTED }], over: 'broken' }
    const told = calls.map((call, index) => this.#chunk({ tool_calls: [{ index, ...toolCall(call) }] }))
    const usage = this.#withUsage ? [{ ...this.#frame(), choices: [], usage: usageOf(end) }] : []
    return { chunks: [...told, this.#chunk({}, reason), ...usage], over: 'done' }
  }

  #chunk(delta: object, finish: string | null = null): object {
    const choice = { index: 0, delta, logprobs: null, finish_reason: finish }
    return { ...this.#frame(), choices: [choice], ...(this.#withUsage ? { usage: null } : {}) }
  }

  #frame(): object {
    return { id: this.#head.id, object: 'chat.completion.chunk', created: this.#head.created, model: this.#head.model }
  }
}

/** @returns undefined for a run that failed, or that somebody ended */
export function chatCompletion(head: ChatHead, view: RunRecord): object | undefined {
  const { ended } = view
  if (ended === undefined) return undefined
  const reason = finishReason(ended, view.calls.size > 0)
  if (reason === undefined) return undefined
  const parts = toParts(view.output)
  const join = (kind: 'text' | 'reasoning'): string =>
    parts.map((part) => (part.type === kind ? part.text : '')).join('')
  const [text, reasoning] = [join('text'), join('reasoning')]
  const calls = [...view.calls.values()].map(({ id, name, input }) => toolCall({ call: id, name, input }))
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
  }
}

function toolCall({ call, name, input }: RunCall) {
  return { id: call, type: 'function', function: { name, arguments: asArguments(input) } }
}

/** As the model wrote it, or as its input reads. */
export function asArguments(input: RunCall['input']): string {
  return typeof input === 'string' ? input : JSON.stringify(input ?? {})
}

/** @returns undefined for a run that failed, or that somebody ended */
function finishReason({ reason, error, cut }: RunEnded, hasCalls: boolean): string | undefined {
  if (error?.code === 'token_limit') return 'length'
  if (error?.code === 'content_filtered') return 'content_filter'
  if (reason !== 'completed') return undefined
  if (cut === true) return 'length'
  return hasCalls ? 'tool_calls' : 'stop'
}

function failureOf({ error }: RunEnded): OpenAiError {
  return error === undefined ? openAiError('no_active_run', CANCELLED) : openAiError(error.code, error.message)
}

function usageOf({ usage: { inputTokens, outputTokens, reasoningTokens } }: RunEnded): object {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    ...(reasoningTokens === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  }
}
