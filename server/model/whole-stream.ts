// WholeStream: the source of a provider's stream that ends as it should or fails. The providers' packages report an answer that
// was cut off between two events, or that was no answer at all, as finished or as garbage; here the first becomes
// `provider_disconnected`, the second `provider_garbage`. Tool calls are held back until the answer is whole: one that
// was cut off in the middle must not be made.
import { InvalidResponseDataError, type LanguageModelV3StreamPart } from '@ai-sdk/provider'
import { ProviderStreamError } from './provider-failure.ts'

type Part = LanguageModelV3StreamPart
type Controller = ReadableStreamDefaultController<Part>

export class WholeStream {
  readonly #reader: ReadableStreamDefaultReader<Part>
  readonly #calls: Part[] = []
  /** Whether anything came that only a provider says. */
  #heard = false

  constructor(stream: ReadableStream<Part>) {
    this.#reader = stream.getReader()
  }

  async pull(controller: Controller): Promise<void> {
    for (;;) {
      const { done, value: part } = await this.#reader.read()
      if (done) return this.#fail(controller, this.#cut())
      switch (part.type) {
        case 'tool-call':
          this.#heard = true
          this.#calls.push(part)
          break
        case 'error':
          return this.#fail(controller, isCut(part.error) ? this.#cut() : part.error)
        case 'finish': {
          const { unified, raw } = part.finishReason
          // What the packages say when the provider said nothing of an end.
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
          this.#heard = true
          controller.enqueue(part)
          return
      }
    }
  }

  async cancel(reason: unknown): Promise<void> {
    await this.#reader.cancel(reason)
  }

  #cut(): ProviderStreamError {
    return new ProviderStreamError(this.#heard ? 'provider_disconnected' : 'provider_garbage')
  }

  async #fail(controller: Controller, error: unknown): Promise<void> {
    controller.enqueue({ type: 'error', error })
    controller.close()
    // Whatever the provider would still send is not waited for.
    await this.#reader.cancel(error)
  }
}

/** The package for compatible servers calls a missing end invalid data, of which there is none. */
function isCut(error: unknown): boolean {
  return InvalidResponseDataError.isInstance(error) && error.data === undefined
}
