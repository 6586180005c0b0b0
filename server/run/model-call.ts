// ModelCall: one model call, as a stream of text and tool calls that always ends: finished, or failed with a code. It enforces the
// timeouts before the first part and between parts, and closes the provider's request on abort.
import type {
  LanguageModelV3CallOptions,
  LanguageModelV3StreamPart,
  SharedV3ProviderOptions,
  SharedV3Warning,
} from '@ai-sdk/provider'
import { cutText, ERRORS, type ErrorCode, type RunError, wellFormed } from '@parley/protocol'
import type { AgentPart } from '../model/agui/agent-part.ts'
import type { Model } from '../model/model.ts'
import { EmptyAnswerError, toProviderFailure } from '../model/provider-failure.ts'
import { type Refusal, refusalOf } from '../model/refusal.ts'
import type { ToolOutcome } from '../tool/run-tool.ts'
import { Answer, type ModelFinish, type ModelToolCall } from './model-answer.ts'
import { lostAnswer } from './relayed/take-over.ts'
import type { ModelExtra } from './run-extras.ts'
import type { TextKind } from './run-state.ts'

/** Why a model call failed. */
export class ModelFailure extends Error {
  override readonly name = 'ModelFailure'
  readonly code: ErrorCode
  readonly retryable: boolean
  /** The request may have had effects, so only a person may repeat it. */
  readonly accepted: boolean
  readonly retryAfterMs: number | undefined
  /** The HTTP status with which the provider refused the request. */
  readonly status: number | undefined
  /** The provider refused the prompt. */
  readonly refusal: Refusal | undefined

  constructor(
    code: ErrorCode,
    message?: string,
    options: {
      retryAfterMs?: number | undefined
      retryable?: boolean
      accepted?: boolean
      status?: number
      cause?: unknown
      refusal?: Refusal | undefined
    } = {},
  ) {
    super(message ?? ERRORS[code].message, { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? false
    this.accepted = options.accepted ?? false
    this.retryAfterMs = options.retryAfterMs
    this.status = options.status
    this.refusal = options.refusal
  }

  asRunError(): RunError {
    const { code, message, retryable, retryAfterMs, status, cause } = this
    return {
      code,
      message,
      // Only a provider's failure says more about a retry than its code does.
      retryable: cause === undefined ? ERRORS[code].retryable : retryable,
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

export interface ModelSink {
  /** Accepts a delta. A returned promise pauses the provider until it resolves. */
  text(kind: TextKind, delta: string): Promise<void> | undefined
  /** Accepts a piece of a call's arguments, a source or a file, as `text` does. */
  extra(extra: ModelExtra): Promise<void> | undefined
  /** Accepts what the provider's package could not pass on. @throws ModelFailure if the run cannot continue without it */
  warned(warnings: readonly SharedV3Warning[]): void
  /** Accepts a call. @returns its id in the log */
  call(call: ModelToolCall): Promise<string>
  /** Whether the log has a part of the answer already, from an earlier driver. */
  readonly isStored?: boolean
  /** Accepts what only a remote agent does. */
  readonly remote?: RemoteSink | undefined
}

/** What a remote agent does besides writing and asking for tools. */
export interface RemoteSink {
  /** What the next request tells the agent besides the prompt. */
  request(): SharedV3ProviderOptions
  /** The agent makes a call itself. @returns its id in the log */
  ran(call: ModelToolCall): Promise<string>
  /** The agent has the result of a call. @param id the agent's @param message the agent's id of the result, if it has one */
  gave(id: string, outcome: ToolOutcome, message?: string): Promise<void>
  /** @returns whether the agent waits for people */
  take(part: AgentPart): Promise<boolean>
  /** The answer is complete. */
  finished(waits: boolean): Promise<void>
}

/** The request must not stay open. One object for all calls, because a stack trace costs as much as a token. */
const CALL_ENDED = new DOMException('The model call is over.', 'AbortError')

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
  let accepted = false
  const watch = new Watch(model.timeouts ?? timeouts, () => request.abort(new ModelFailure('provider_timeout')))
  const onAbort = (): void => request.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const { stream } = await abortable(
      model.language.doStream({ ...options, abortSignal: request.signal }),
      request.signal,
    )
    accepted = model.remote === true
    return await consume(model, stream.getReader(), sink, watch, request.signal)
  } catch (error) {
    if (request.signal.aborted) throw request.signal.reason
    if (error instanceof ModelFailure) throw error
    const lost = lostAnswer(error)
    if (lost !== undefined) throw lost
    const failure = toProviderFailure(error, model.secrets)
    const refusal = refusalOf(error, failure.status)
    // An empty answer may have other reasons than the length of the prompt.
    const isTooLong = refusal !== undefined && refusal.fits < 1 && !(error instanceof EmptyAnswerError)
    const [code, message] = isTooLong ? (['context_exceeded'] as const) : [failure.code, failure.message]
    throw new ModelFailure(code, message, {
      ...failure,
      ...(isTooLong ? { retryable: false } : {}),
      refusal,
      accepted,
      cause: error,
    })
  } finally {
    watch.stop()
    signal.removeEventListener('abort', onAbort)
    // However the call ended, its request must not stay open.
    request.abort(CALL_ENDED)
  }
}

async function consume(
  model: Model,
  reader: ReadableStreamDefaultReader<LanguageModelV3StreamPart>,
  sink: ModelSink,
  watch: Watch,
  signal: AbortSignal,
): Promise<ModelFinish> {
  const answer = new Answer(model)
  const remote = model.remote === true ? sink.remote : undefined
  let waits = false
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
        // Anthropic's signature comes with an empty delta.
        answer.addMark(kind, part.id, part.providerMetadata)
        if (delta === '') break
        const held = sink.text(kind, delta)
        if (held !== undefined) {
          await watch.paused(held)
          if (stopped) throw signal.reason
        }
        break
      }
      case 'text-end':
        answer.addMark('text', part.id, part.providerMetadata)
        break
      case 'reasoning-start':
      case 'reasoning-end':
        answer.addMark('reasoning', part.id, part.providerMetadata)
        break
      case 'tool-input-start':
        if (part.providerExecuted !== true) answer.beginCall(part.id, part.toolName)
        break
      case 'tool-input-delta':
      case 'source':
      case 'file': {
        const extra = extraOf(answer, part)
        const held = extra === undefined ? undefined : sink.extra(extra)
        if (held === undefined) break
        await watch.paused(held)
        if (stopped) throw signal.reason
        break
      }
      case 'tool-call':
        if (part.providerExecuted === true && remote === undefined) break
        await watch.paused(
          part.providerExecuted === true && remote !== undefined
            ? answer.call(part, (call) => remote.ran(call), false)
            : answer.call(part, (call) => sink.call(call)),
        )
        if (stopped) throw signal.reason
        break
      case 'tool-result':
        if (remote === undefined) break
        await watch.paused(remote.gave(part.toolCallId, outcomeOf(part), resultId(part)))
        if (stopped) throw signal.reason
        break
      case 'raw':
        if (remote === undefined) break
        waits ||= await remote.take(part.rawValue as AgentPart)
        if (stopped) throw signal.reason
        break
      case 'error':
        throw part.error
      case 'finish':
        if (part.finishReason.unified === 'content-filter') throw new ModelFailure('content_filtered')
        if (part.finishReason.unified === 'error') throw new ModelFailure('provider_error')
        await remote?.finished(waits)
        if (waits) answer.waits()
        return answer.finish(part)
      default:
        break
    }
  }
}

type ExtraPart = Extract<LanguageModelV3StreamPart, { type: 'tool-input-delta' | 'source' | 'file' }>

/** @returns undefined for what readers do not get: documents without an address, and calls that the provider executes */
function extraOf(answer: Answer, part: ExtraPart): ModelExtra | undefined {
  if (part.type === 'tool-input-delta') {
    const piece = answer.input(part.id, part.delta)
    return piece === undefined ? undefined : { kind: 'input', id: part.id, ...piece }
  }
  if (part.type === 'source') {
    if (part.sourceType !== 'url' || part.url.length > MAX_URL) return undefined
    const title = part.title === undefined ? {} : { title: cutText(wellFormed(part.title), MAX_TITLE) }
    return { kind: 'source', url: wellFormed(part.url), ...title }
  }
  const data = typeof part.data === 'string' ? part.data : Buffer.from(part.data).toString('base64')
  const mediaType = wellFormed(part.mediaType).slice(0, 127)
  answer.file(mediaType, data)
  return { kind: 'file', mediaType, url: `data:${mediaType};base64,${data}` }
}

const MAX_URL = 2_048
const MAX_TITLE = 1_024

function outcomeOf({ result, isError }: Extract<LanguageModelV3StreamPart, { type: 'tool-result' }>): ToolOutcome {
  return isError === true ? { error: String(result) } : { output: result }
}

function resultId({
  providerMetadata,
}: Extract<LanguageModelV3StreamPart, { type: 'tool-result' }>): string | undefined {
  const id = providerMetadata?.agui?.result
  return typeof id === 'string' ? id : undefined
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
