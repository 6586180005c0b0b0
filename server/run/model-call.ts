// ModelCall: one model call, as a stream of text and tool calls that always ends: finished, or failed with a code. It enforces the
// timeouts before the first part and between parts, and closes the provider's request on abort.
import type {
  LanguageModelV3CallOptions,
  LanguageModelV3Message,
  LanguageModelV3StreamPart,
  SharedV3Warning,
} from '@ai-sdk/provider'
import {
  ERRORS,
  type ErrorCode,
  parseJson,
  type RunError,
  restoreNumbers,
  type Usage,
  wellFormed,
} from '@parley/protocol'
import type { Model } from '../model/model.ts'
import { toProviderFailure } from '../model/provider-failure.ts'
import type { TextKind } from './run-state.ts'

/** Why a model call failed. */
export class ModelFailure extends Error {
  override readonly name = 'ModelFailure'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined
  /** The HTTP status with which the provider refused the request. */
  readonly status: number | undefined

  constructor(
    code: ErrorCode,
    message?: string,
    options: { retryAfterMs?: number | undefined; retryable?: boolean; status?: number; cause?: unknown } = {},
  ) {
    super(message ?? ERRORS[code].message, { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? false
    this.retryAfterMs = options.retryAfterMs
    this.status = options.status
  }

  asRunError(): RunError {
    const { code, message, retryable, retryAfterMs, status, cause } = this
    // Only a provider's failure says more about a retry than its code does.
    const isKnown = cause !== undefined && retryable !== ERRORS[code].retryable
    return {
      code,
      message,
      ...(isKnown ? { retryable } : {}),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.round(retryAfterMs) }),
      ...(status === undefined ? {} : { providerStatus: status }),
    }
  }
}

export interface ModelTimeouts {
  /** Milliseconds from the request to the first part. */
  readonly firstTokenMs: number
  /** Milliseconds between two parts. */
  readonly betweenTokensMs: number
}

export interface ModelToolCall {
  /** The provider's own id: unique within the step at best. */
  readonly id: string
  readonly name: string
  /** As the model wrote it; usually JSON. */
  readonly input: string
}

export interface ModelSink {
  /** Accepts a delta. A returned promise pauses the provider until it resolves. */
  text(kind: TextKind, delta: string): Promise<void> | undefined
  /** Accepts what the provider's package could not pass on. @throws ModelFailure if the run cannot continue without it */
  warned(warnings: readonly SharedV3Warning[]): void
  /** Accepts a call. @returns its id in the log */
  call(call: ModelToolCall): string
}

type AssistantContent = Extract<LanguageModelV3Message, { role: 'assistant' }>['content']

export interface ModelFinish {
  /** `length`: the provider cut the answer at its output limit. */
  readonly reason: 'stop' | 'length' | 'tool-calls'
  readonly usage: Usage
  /** The model's output with the provider's metadata, for the next call of the same run. */
  readonly content: AssistantContent
}

/**
 * @param signal aborts the request; the promise then rejects with the signal's reason
 * @throws ModelFailure
 */
export async function callModel(
  model: Model,
  options: Omit<LanguageModelV3CallOptions, 'abortSignal'>,
  timeouts: ModelTimeouts,
  sink: ModelSink,
  signal: AbortSignal,
): Promise<ModelFinish> {
  signal.throwIfAborted()
  const request = new AbortController()
  const watch = new Watch(timeouts, () => request.abort(new ModelFailure('provider_timeout')))
  const onAbort = (): void => request.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const { stream } = await abortable(
      model.language.doStream({ ...options, abortSignal: request.signal }),
      request.signal,
    )
    return await consume(stream.getReader(), sink, watch, request.signal)
  } catch (error) {
    if (request.signal.aborted) throw request.signal.reason
    if (error instanceof ModelFailure) throw error
    const failure = toProviderFailure(error, model.secrets)
    throw new ModelFailure(failure.code, failure.message, { ...failure, cause: error })
  } finally {
    watch.stop()
    signal.removeEventListener('abort', onAbort)
    // However the call ended, its request must not stay open.
    request.abort(new DOMException('The model call is over.', 'AbortError'))
  }
}

async function consume(
  reader: ReadableStreamDefaultReader<LanguageModelV3StreamPart>,
  sink: ModelSink,
  watch: Watch,
  signal: AbortSignal,
): Promise<ModelFinish> {
  const answer = new Answer()
  // Cancelling the stream ends a pending read and closes the request.
  const cancel = (): void => {
    reader.cancel(signal.reason).catch(() => undefined)
  }
  let stopped = false
  const stop = (): void => {
    stopped = true
    cancel()
  }
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  for (;;) {
    const { done, value: part } = await reader.read()
    if (stopped) throw signal.reason
    if (done) throw new ModelFailure('provider_disconnected', undefined, { retryable: true })
    // Providers send their headers long before the first output.
    if (part.type !== 'stream-start' && part.type !== 'response-metadata') watch.seen()
    switch (part.type) {
      case 'stream-start':
        sink.warned(part.warnings)
        break
      case 'text-delta':
      case 'reasoning-delta': {
        const kind = part.type === 'text-delta' ? 'text' : 'reasoning'
        const delta = answer.text(kind, part.id, part.delta)
        if (delta === '') break
        const held = sink.text(kind, delta)
        if (held !== undefined) {
          await watch.paused(held)
          if (stopped) throw signal.reason
        }
        break
      }
      case 'text-end':
        answer.addMetadata('text', part.id, part.providerMetadata)
        break
      case 'reasoning-start':
      case 'reasoning-end':
        answer.addMetadata('reasoning', part.id, part.providerMetadata)
        break
      case 'tool-call': {
        if (part.providerExecuted === true) break
        const call = {
          id: part.toolCallId,
          name: wellFormed(part.toolName),
          input: wellFormed(restoreNumbers(part.input)),
        }
        answer.call(sink.call(call), { ...part, toolName: call.name, input: call.input })
        break
      }
      case 'error':
        throw part.error
      case 'finish':
        return answer.finish(part)
      default:
        break
    }
  }
}

type ProviderMetadata = NonNullable<AssistantContent[number]['providerOptions']>

type TextContent = Extract<AssistantContent[number], { type: TextKind }>

/** Deltas joined at a time. Appending each to the text would retain all of them as a deep rope of strings. */
const JOINED = 32

/** A text or reasoning part that is still growing. */
class OpenText {
  readonly part: TextContent
  #deltas: string[] = []

  constructor(part: TextContent) {
    this.part = part
  }

  add(delta: string): void {
    this.#deltas.push(delta)
    if (this.#deltas.length === JOINED) this.flush()
  }

  /** Moves all deltas into the part. */
  flush(): void {
    this.part.text += this.#deltas.join('')
    this.#deltas = []
  }
}

/** Collects the assistant message of this call. */
class Answer {
  readonly #content: AssistantContent = []
  readonly #open = new Map<string, OpenText>()
  #last: OpenText | undefined
  #lastId = ''
  #calls = 0
  /** The first half of a surrogate pair. */
  #half = ''

  /**
   * @returns the complete characters, including the rest of the previous delta. Some providers cut between the halves of a
   * surrogate pair, and a half cannot be stored in UTF-8.
   */
  text(kind: TextKind, id: string, delta: string): string {
    const joined = this.#half === '' ? delta : this.#half + delta
    const half = endsInHalf(joined)
    this.#half = half ? joined.slice(-1) : ''
    const text = wellFormed(half ? joined.slice(0, -1) : joined)
    if (text === '') return text
    // Nearly every delta continues the last part.
    const continues = this.#last?.part.type === kind && this.#lastId === id
    if (!continues) {
      this.#last = this.#opened(kind, id)
      this.#lastId = id
    }
    this.#last?.add(text)
    return text
  }

  #opened(kind: TextKind, id: string): OpenText {
    const key = `${kind} ${id}`
    let open = this.#open.get(key)
    if (open === undefined) {
      open = new OpenText({ type: kind, text: '' })
      this.#open.set(key, open)
      this.#content.push(open.part)
    }
    return open
  }

  /** Keeps the metadata that the provider expects back. Hidden reasoning consists of nothing else. */
  addMetadata(kind: TextKind, id: string, metadata: ProviderMetadata | undefined): void {
    if (metadata === undefined) return
    if (kind === 'text' && !this.#open.has(`${kind} ${id}`)) return
    const { part } = this.#opened(kind, id)
    part.providerOptions = { ...part.providerOptions, ...metadata }
  }

  call(id: string, part: Extract<LanguageModelV3StreamPart, { type: 'tool-call' }>): void {
    this.#calls += 1
    this.#content.push({
      type: 'tool-call',
      toolCallId: id,
      toolName: part.toolName,
      input: parseInput(part.input) ?? {},
      ...(part.providerMetadata === undefined ? {} : { providerOptions: part.providerMetadata }),
    })
  }

  finish(part: Extract<LanguageModelV3StreamPart, { type: 'finish' }>): ModelFinish {
    const { unified } = part.finishReason
    if (unified === 'content-filter') throw new ModelFailure('content_filtered')
    if (unified === 'error') throw new ModelFailure('provider_error')
    const { inputTokens, outputTokens } = part.usage
    const reasoning = outputTokens.reasoning
    const usage = {
      inputTokens: count(inputTokens.total),
      outputTokens: count(outputTokens.total),
      ...(reasoning === undefined || reasoning === 0 ? {} : { reasoningTokens: count(reasoning) }),
      ...(inputTokens.cacheRead ? { cachedTokens: count(inputTokens.cacheRead) } : {}),
      ...(inputTokens.cacheWrite ? { cacheWriteTokens: count(inputTokens.cacheWrite) } : {}),
    }
    // Some servers report `stop` although the model called tools; the calls decide.
    const reason = this.#calls > 0 ? 'tool-calls' : unified === 'length' ? 'length' : 'stop'
    for (const open of this.#open.values()) open.flush()
    return { reason, usage, content: this.#content }
  }
}

function endsInHalf(text: string): boolean {
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last <= 0xdbff
}

/** @returns undefined if the input is not JSON; `{}` for an empty input or `null`, which models write for a call without arguments */
export function parseInput(input: string): unknown {
  if (input.trim() === '') return {}
  try {
    // An escape such as \ud83d makes half a character even in well-formed JSON.
    return wellFormed<unknown>(parseJson(input)) ?? {}
  } catch {
    return undefined
  }
}

function count(tokens: number | undefined): number {
  return tokens === undefined || !Number.isFinite(tokens) ? 0 : Math.max(0, Math.round(tokens))
}

/** Does not wait for a model that ignores its abort signal. */
async function abortable<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    promise.then(resolve, reject)
  })
}

/** A timer later than this (ms) means that the process was paused; the provider then gets this much extra time. */
const PAUSED_PROCESS_MS = 1_000

/** One timer for a stream. It checks when the last part came, instead of being reset at each part. */
class Watch {
  readonly #timeouts: ModelTimeouts
  readonly #expired: () => void
  #timer: NodeJS.Timeout | undefined
  #last = performance.now()
  #limit: number
  #paused = false

  constructor(timeouts: ModelTimeouts, expired: () => void) {
    this.#timeouts = timeouts
    this.#expired = expired
    this.#limit = timeouts.firstTokenMs
    this.#arm(this.#limit)
  }

  seen(): void {
    this.#last = performance.now()
    if (this.#limit !== this.#timeouts.betweenTokensMs) {
      this.#limit = this.#timeouts.betweenTokensMs
      clearTimeout(this.#timer)
      this.#arm(this.#limit)
    }
  }

  /** Time in which the provider is paused does not count. */
  async paused(held: Promise<void>): Promise<void> {
    this.#paused = true
    try {
      await held
    } finally {
      this.#paused = false
      this.#last = performance.now()
    }
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #arm(ms: number): void {
    const due = performance.now() + ms
    this.#timer = setTimeout(() => {
      const now = performance.now()
      // This process was paused: it has not yet read what the provider sent meanwhile.
      if (now - due > PAUSED_PROCESS_MS) this.#last = Math.max(this.#last, now - this.#limit + PAUSED_PROCESS_MS)
      const left = this.#paused ? this.#limit : this.#last + this.#limit - performance.now()
      if (left <= 0) this.#expired()
      else this.#arm(left)
    }, ms)
  }
}
