// DemoModel: a script with the interface of a language model, which says that it is a demo. Its output depends on the prompt alone;
// its timing depends on the directive. A stream works only when it is read, sets no timer of its own, and yields to the event
// loop at any rate.
import {
  APICallError,
  type LanguageModelV3CallOptions,
  type LanguageModelV3FinishReason,
  type LanguageModelV3StreamPart,
  UnsupportedFunctionalityError,
} from '@ai-sdk/provider'
import { stringifyJson } from '@parley/protocol'
import { type ContextTokens, contextTokens } from './context-window.ts'
import { noise } from './demo-answer.ts'
import { type DemoTurn, demoTurn } from './demo-turn.ts'
import type { Model } from './model.ts'
import { type Sleeper, TimerQueue } from './timer-queue.ts'

export function createDemoModel(configured?: ContextTokens): Model {
  return {
    id: 'demo',
    prefill: 'exact',
    contextTokens: contextTokens('demo', configured),
    language: {
      specificationVersion: 'v3',
      provider: 'parley',
      modelId: 'demo',
      supportedUrls: {},
      async doStream(options) {
        options.abortSignal?.throwIfAborted()
        const source = new DemoStream(options)
        // Produces nothing before it is read.
        return { stream: new ReadableStream(source, { highWaterMark: 0 }) }
      },
      async doGenerate() {
        throw new UnsupportedFunctionalityError({
          functionality: 'doGenerate',
          message: 'The demo model only streams.',
        })
      },
    },
  }
}

/** Thousands of streams share one timer. */
const timers = new TimerQueue()

/** At most this many parts are enqueued in one turn of the event loop. */
const BATCH = 64

/** A picture of one black pixel. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=='

type Controller = ReadableStreamDefaultController<LanguageModelV3StreamPart>

class DemoStream implements Sleeper {
  due = 0
  index = -1
  readonly #turn: DemoTurn
  readonly #start = performance.now()
  readonly #interval: number
  readonly #signal: AbortSignal | undefined
  readonly #abort = (): void => this.#onAbort()
  /** `maxOutputTokens` of the call. */
  readonly #limit: number
  #controller: Controller | undefined
  /** Tokens emitted in this call. */
  #emitted = 0
  #open: 'reasoning' | 'text' | undefined
  #began = false
  #called = false
  /** A batch may be emitted before the next turn of the event loop. */
  #fresh = true

  constructor(options: LanguageModelV3CallOptions) {
    this.#turn = demoTurn(options.prompt)
    const { rate } = this.#turn.directive
    this.#interval = rate === 0 ? 0 : 1000 / rate
    this.#limit = Math.max(0, options.maxOutputTokens ?? Number.POSITIVE_INFINITY)
    this.#signal = options.abortSignal
  }

  start(controller: Controller): void {
    this.#controller = controller
    this.#signal?.addEventListener('abort', this.#abort, { once: true })
  }

  pull(): void {
    if (this.#fresh) this.#emitDue()
    else timers.soon(this)
  }

  cancel(): void {
    this.#stopWaiting()
  }

  wake(): void {
    this.#fresh = true
    this.#emitDue()
  }

  /** Emits the tokens that are due. If none is, the timer queue wakes the stream when the next one is. */
  #emitDue(): void {
    const controller = this.#controller as Controller
    const { directive } = this.#turn
    let parts = 0
    if (!this.#began) {
      this.#began = true
      controller.enqueue({ type: 'stream-start', warnings: [] })
      return
    }
    const now = performance.now()
    while (parts < BATCH) {
      const position = this.#turn.emitted + this.#emitted
      const hangs = directive.hang !== undefined && position >= directive.hang
      const fails = directive.fail !== undefined && position >= directive.fail
      // Silence: only an abort ends it.
      if (hangs && !(fails && (directive.fail as number) < (directive.hang as number))) return
      // The end is due with the last token.
      const due = this.#emitted > 0 && this.#complete() ? now : this.#dueAt(this.#emitted)
      if (due > now) {
        if (parts === 0) timers.at(due, this)
        return
      }
      if (fails) {
        this.#end({ type: 'error', error: scriptedFailure() })
        return
      }
      if (this.#next()) {
        parts += 1
      } else {
        this.#finish()
        return
      }
    }
    this.#fresh = false
  }

  /** Emits the next token. @returns false if none is left */
  #next(): boolean {
    if (this.#emitted >= this.#limit) return false
    const { reasoning, text, rest } = this.#turn
    // The rest of a partial token comes first.
    const index = rest === undefined ? this.#emitted : this.#emitted - 1
    if (index < 0 && rest !== undefined) {
      this.#emit(rest.kind, rest.text)
    } else if (index < reasoning.length) {
      this.#emit('reasoning', reasoning.at(index))
    } else if (index < reasoning.length + text.length) {
      this.#emit('text', text.at(index - reasoning.length))
    } else {
      return false
    }
    return true
  }

  #emit(kind: 'reasoning' | 'text', delta: string): void {
    const controller = this.#controller as Controller
    if (this.#open !== kind) {
      this.#close()
      this.#open = kind
      controller.enqueue({ type: `${kind}-start`, id: kind })
    }
    this.#emitted += 1
    controller.enqueue({ type: `${kind}-delta`, id: kind, delta })
  }

  #close(): void {
    if (this.#open === undefined) return
    this.#controller?.enqueue({ type: `${this.#open}-end`, id: this.#open })
    this.#open = undefined
  }

  #finish(): void {
    this.#close()
    const cut = this.#emitted >= this.#limit && !this.#complete()
    if (!cut) this.#call()
    if (!cut && !this.#called) this.#link()
    const reason: LanguageModelV3FinishReason['unified'] = cut ? 'length' : this.#called ? 'tool-calls' : 'stop'
    const { inputTokens, reasoning, rest } = this.#turn
    const thought = Math.min(this.#emitted, reasoning.length + (rest?.kind === 'reasoning' ? 1 : 0))
    this.#end({
      type: 'finish',
      finishReason: { unified: reason, raw: reason },
      usage: {
        inputTokens: { total: inputTokens, noCache: inputTokens, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: this.#emitted, text: this.#emitted - thought, reasoning: thought },
      },
    })
  }

  #complete(): boolean {
    const { reasoning, text, rest } = this.#turn
    return this.#emitted === reasoning.length + text.length + (rest === undefined ? 0 : 1)
  }

  /** Emits all tool calls. */
  #call(): void {
    const { calls, called } = this.#turn
    for (const [index, { name, input }] of calls.entries()) {
      this.#called = true
      const id = `demo-call-${called + index}`
      const json = stringifyJson(input)
      this.#stream(id, name, json)
      this.#controller?.enqueue({ type: 'tool-call', toolCallId: id, toolName: name, input: json })
    }
  }

  #stream(id: string, toolName: string, json: string): void {
    const { pieces } = this.#turn.directive
    if (pieces === 0) return
    const length = Math.ceil(json.length / pieces)
    this.#controller?.enqueue({ type: 'tool-input-start', id, toolName })
    for (let at = 0; at < json.length; at += length) {
      this.#controller?.enqueue({ type: 'tool-input-delta', id, delta: json.slice(at, at + length) })
    }
    this.#controller?.enqueue({ type: 'tool-input-end', id })
  }

  #link(): void {
    const { sources, files } = this.#turn.directive
    for (let index = 0; index < sources; index += 1) {
      const url = `https://example.com/${index}`
      this.#controller?.enqueue({ type: 'source', sourceType: 'url', id: `${index}`, url, title: `Example ${index}` })
    }
    for (let index = 0; index < files; index += 1) {
      this.#controller?.enqueue({ type: 'file', mediaType: 'image/png', data: PIXEL })
    }
  }

  #end(last: LanguageModelV3StreamPart): void {
    this.#stopWaiting()
    this.#controller?.enqueue(last)
    this.#controller?.close()
  }

  #stopWaiting(): void {
    timers.remove(this)
    this.#signal?.removeEventListener('abort', this.#abort)
  }

  #onAbort(): void {
    this.#stopWaiting()
    this.#controller?.error(this.#signal?.reason)
  }

  /** Counted from the start, not from the previous token, so that a slow reader does not lower the rate. */
  #dueAt(index: number): number {
    const { ttft, jitter, seed } = this.#turn.directive
    const late = jitter === 0 ? 0 : noise(seed, this.#turn.emitted + index) * jitter
    return this.#start + ttft + index * this.#interval + late
  }
}

function scriptedFailure(): APICallError {
  return new APICallError({
    message: 'The directive makes the demo model fail.',
    url: 'demo:',
    requestBodyValues: {},
    statusCode: 500,
    isRetryable: true,
  })
}
