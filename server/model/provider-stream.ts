// ProviderStream: a provider's stream that ends properly or fails. The providers' packages report an answer that was cut
// between two events, or an invalid one, as finished or as invalid. Here the first becomes `provider_disconnected`, the
// second `provider_garbage`. Tool calls are delayed until the answer is complete: a call from a cut answer must not run.
import { InvalidResponseDataError, type LanguageModelV3StreamPart } from '@ai-sdk/provider'
import { EmptyAnswerError, ProviderStreamError } from './provider-failure.ts'

type Part = LanguageModelV3StreamPart
type Controller = ReadableStreamDefaultController<Part>

export class ProviderStream {
  readonly #reader: ReadableStreamDefaultReader<Part>
  readonly #calls: Part[] = []
  /** The provider sent content. */
  #hasContent = false

  constructor(stream: ReadableStream<Part>) {
    this.#reader = stream.getReader()
  }

  async pull(controller: Controller): Promise<void> {
    for (;;) {
      const { done, value: part } = await this.#reader.read()
      if (done) return this.#fail(controller, this.#cut())
      switch (part.type) {
        case 'tool-call':
          this.#hasContent = true
          this.#calls.push(part)
          break
        case 'error':
          return this.#fail(controller, isCut(part.error) ? this.#cut() : part.error)
        case 'finish': {
          const { unified, raw } = part.finishReason
          // The packages report this when the provider sent no end.
          if (unified === 'other' && raw === undefined) return this.#fail(controller, this.#cut())
          for (const call of this.#calls) controller.enqueue(call)
          controller.enqueue(part)
          controller.close()
          return
        }
        case 'stream-start':
          controller.enqueue(part)
          return
        default:
          this.#hasContent = true
          controller.enqueue(part)
          return
      }
    }
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason)
  }

  #cut(): ProviderStreamError {
    return this.#hasContent ? new ProviderStreamError('provider_disconnected', NO_FINISH) : new EmptyAnswerError()
  }

  async #fail(controller: Controller, error: unknown): Promise<void> {
    controller.enqueue({ type: 'error', error })
    controller.close()
    // Do not wait for the rest of the stream.
    await this.#reader.cancel(error)
  }
}

const NO_FINISH = 'The model provider ended the answer without a finish reason, so it may be incomplete.'

/** The package for compatible servers reports a missing end as invalid data without data. */
function isCut(error: unknown): boolean {
  return InvalidResponseDataError.isInstance(error) && error.data === undefined
}
