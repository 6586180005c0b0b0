// DemoModel: a script in the shape of a language model, and honest about it. What it says depends on the prompt alone;
// when it says it, on the directive. A stream does work only when it is read, sets no timer of its own, and never
// keeps the event loop to itself, however fast it is told to be.
import {
  APICallError,
  type LanguageModelV3CallOptions,
  type LanguageModelV3FinishReason,
  type LanguageModelV3StreamPart,
  UnsupportedFunctionalityError,
} from '@ai-sdk/provider'
import { noise } from './demo-answer.ts'
import { type DemoTurn, demoTurn } from './demo-turn.ts'
import type { Model } from './model.ts'
import { PaceClock, type Sleeper } from './pace-clock.ts'

export function createDemoModel(): Model {
  return {
    id: 'demo',
    prefill: 'exact',
    language: {
      specificationVersion: 'v3',
      provider: 'parley',
      modelId: 'demo',
      supportedUrls: {},
      async doStream(options) {
        options.abortSignal?.throwIfAborted()
        const source = new DemoStream(options)
        // Nothing is made before it is asked for.
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

/** One for all streams, so that thousands of them share one timer. */
const clock = new PaceClock()

/** Parts that are handed out at once, at most; then the event loop has a turn. */
const BATCH = 64

type Controller = ReadableStreamDefaultController<LanguageModelV3StreamPart>

class DemoStream implements Sleeper {
  due = 0
  place = -1
  readonly #turn: DemoTurn
  readonly #start = performance.now()
  readonly #interval: number
  readonly #signal: AbortSignal | undefined
  readonly #abort = (): void => this.#onAbort()
  /** Tokens that this call says before it ends; less than it has to say if `maxOutputTokens` is less. */
  readonly #limit: number
  #controller: Controller | undefined
  /** Tokens said in this call. */
  #said = 0
  #open: 'reasoning' | 'text' | undefined
  #began = false
  #called = false
  /** Whether a batch may be handed out before the event loop's next turn. */
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
    if (this.#fresh) this.#speak()
    else clock.soon(this)
  }

  cancel(): void {
    this.#leave()
  }

  wake(): void {
    this.#fresh = true
    this.#speak()
  }

  /** Hands out what is due; if that is nothing, it is woken when something is. */
  #speak(): void {
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
      const position = this.#turn.said + this.#said
      const hangs = directive.hang !== undefined && position >= directive.hang
      const fails = directive.fail !== undefined && position >= directive.fail
      // Silence: nothing will wake it but an abort.
      if (hangs && !(fails && (directive.fail as number) < (directive.hang as number))) return
      // The end needs no time of its own.
      const due = this.#said > 0 && this.#complete() ? now : this.#dueAt(this.#said)
      if (due > now) {
        if (parts === 0) clock.at(due, this)
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

  /** Says the next token. @returns false when there is none */
  #next(): boolean {
    if (this.#said >= this.#limit) return false
    const { reasoning, text, rest } = this.#turn
    // The rest of a token that was cut stands before the others.
    const index = rest === undefined ? this.#said : this.#said - 1
    if (index < 0 && rest !== undefined) {
      this.#say(rest.kind, rest.text)
    } else if (index < reasoning.length) {
      this.#say('reasoning', reasoning.at(index))
    } else if (index < reasoning.length + text.length) {
      this.#say('text', text.at(index - reasoning.length))
    } else {
      return false
    }
    return true
  }

  #say(kind: 'reasoning' | 'text', delta: string): void {
    const controller = this.#controller as Controller
    if (this.#open !== kind) {
      this.#close()
      this.#open = kind
      controller.enqueue({ type: `${kind}-start`, id: kind })
    }
    this.#said += 1
    controller.enqueue({ type: `${kind}-delta`, id: kind, delta })
  }

  #close(): void {
    if (this.#open === undefined) return
    this.#controller?.enqueue({ type: `${this.#open}-end`, id: this.#open })
    this.#open = undefined
  }

  #finish(): void {
    this.#close()
    const cut = this.#said >= this.#limit && !this.#complete()
    if (!cut) this.#call()
    const reason: LanguageModelV3FinishReason['unified'] = cut ? 'length' : this.#called ? 'tool-calls' : 'stop'
    const { inputTokens, reasoning, rest } = this.#turn
    const thought = Math.min(this.#said, reasoning.length + (rest?.kind === 'reasoning' ? 1 : 0))
    this.#end({
      type: 'finish',
      finishReason: { unified: reason, raw: reason },
      usage: {
        inputTokens: { total: inputTokens, noCache: inputTokens, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: this.#said, text: this.#said - thought, reasoning: thought },
      },
    })
  }

  #complete(): boolean {
    const { reasoning, text, rest } = this.#turn
    return this.#said === reasoning.length + text.length + (rest === undefined ? 0 : 1)
  }

  /** Makes the calls, all in one go. */
  #call(): void {
    const { calls, called } = this.#turn
    for (const [index, { name, input }] of calls.entries()) {
      this.#called = true
      this.#controller?.enqueue({
        type: 'tool-call',
        toolCallId: `demo-call-${called + index}`,
        toolName: name,
        input: JSON.stringify(input),
      })
    }
  }

  #end(last: LanguageModelV3StreamPart): void {
    this.#leave()
    this.#controller?.enqueue(last)
    this.#controller?.close()
  }

  #leave(): void {
    clock.remove(this)
    this.#signal?.removeEventListener('abort', this.#abort)
  }

  #onAbort(): void {
    this.#leave()
    this.#controller?.error(this.#signal?.reason)
  }

  /** Counted from the start, not from the token before, so that the rate holds however late a reader comes. */
  #dueAt(index: number): number {
    const { ttft, jitter, seed } = this.#turn.directive
    const late = jitter === 0 ? 0 : noise(seed, this.#turn.said + index) * jitter
    return this.#start + ttft + index * this.#interval + late
  }
}

function scriptedFailure(): APICallError {
  return new APICallError({
    message: 'The demo model was told to fail.',
    url: 'demo:',
    requestBodyValues: {},
    statusCode: 500,
    isRetryable: true,
  })
}
