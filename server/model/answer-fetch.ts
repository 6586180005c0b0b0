// AnswerFetch: a `fetch` whose event streams end where the provider's protocol ends them. The AI SDK's packages take the end from
// the connection, so a server that keeps it open after the last event would fail a complete answer by timeout.
import { restoreNumbers } from '@parley/protocol'
import { EventParser, type ServerEvent } from './event-parser.ts'

/** One answer in a provider's protocol. */
export interface AnswerDialect {
  /**
   * @param data of one event
   * @param name the event's name; empty if it has none
   * @returns the data to pass on; undefined to drop the event
   */
  event(data: string, name: string): string | undefined
  /** `finished`: the answer is complete, but usage may follow. `ended`: nothing follows. */
  readonly end: 'open' | 'finished' | 'ended'
}

/** Milliseconds of silence after the finish reason that end an answer without an end marker. */
const FINISHED_MS = 2_000
/** Milliseconds that a server gets to end its response after the end marker, so that the connection can be reused. */
const ENDED_MS = 250
/** UTF-16 code units of one event, or bytes of a JSON body. A server that exceeds it does not send a stream of tokens. */
const MAX_EVENT = 16 * 1024 * 1024

export function answerFetch(fetch: typeof globalThis.fetch, dialect: () => AnswerDialect): typeof globalThis.fetch {
  return async (input, init) => {
    const body = typeof init?.body === 'string' ? { body: restoreNumbers(init.body) } : {}
    const response = await fetch(input, { ...init, ...body })
    if (!response.ok || response.body === null || !asksForStream(input, init)) return response
    const isJson = /^application\/(.+\+)?json\b/i.test(response.headers.get('content-type') ?? '')
    const source = new AnswerSource(response.body.getReader(), dialect(), isJson)
    const headers = new Headers(response.headers)
    for (const name of ['content-length', 'content-encoding']) headers.delete(name)
    return new Response(new ReadableStream(source, { highWaterMark: 0 }), { status: response.status, headers })
  }
}

function asksForStream(input: Parameters<typeof globalThis.fetch>[0], init: RequestInit | undefined): boolean {
  const url = input instanceof Request ? input.url : String(input)
  return (
    url.includes(':streamGenerateContent') || (typeof init?.body === 'string' && init.body.includes('"stream":true'))
  )
}

class AnswerSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #dialect: AnswerDialect
  readonly #parser: EventParser
  #expired: Promise<'expired'> | undefined
  #timer: NodeJS.Timeout | undefined
  #end: AnswerDialect['end'] = 'open'

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>, dialect: AnswerDialect, isJson: boolean) {
    this.#reader = reader
    this.#dialect = dialect
    this.#parser = new EventParser(MAX_EVENT, isJson)
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    for (;;) {
      const chunk = await this.#read()
      const text = this.#pass(chunk === undefined ? this.#parser.end() : this.#parser.push(chunk))
      // TextEncoder takes fifteen times as long for a text of this size (Node 20).
      if (text !== '') controller.enqueue(Buffer.from(text))
      if (chunk === undefined) {
        clearTimeout(this.#timer)
        controller.close()
        return
      }
      if (this.#dialect.end !== this.#end || text !== '') this.#limitWait()
      if (text !== '') return
    }
  }

  #pass(events: readonly ServerEvent[]): string {
    let text = ''
    for (const { data, name } of events) {
      // Whatever follows the end is no part of the answer.
      if (this.#dialect.end === 'ended') break
      const passed = this.#dialect.event(data, name)
      if (passed !== undefined) text += `data: ${passed.replaceAll('\n', '\ndata: ')}\n\n`
    }
    return text
  }

  async cancel(reason: unknown): Promise<void> {
    clearTimeout(this.#timer)
    await this.#reader.cancel(reason)
  }

  /** @returns undefined at the end of the answer */
  async #read(): Promise<Uint8Array | undefined> {
    try {
      const reading = this.#reader.read()
      const result = this.#expired === undefined ? await reading : await Promise.race([reading, this.#expired])
      if (result !== 'expired') return result.done ? undefined : result.value
      // The pending read ends with the cancelled stream.
      reading.catch(() => undefined)
      this.#reader.cancel().catch(() => undefined)
      return undefined
    } catch (error) {
      if (this.#end === 'open') throw error
      // The answer was complete before its connection broke.
      return undefined
    }
  }

  /** Starts the timer for the rest, once the answer has finished or ended. Further events of a finished answer restart it. */
  #limitWait(): void {
    this.#end = this.#dialect.end
    if (this.#end === 'open') return
    const ms = this.#end === 'ended' ? ENDED_MS : FINISHED_MS
    clearTimeout(this.#timer)
    this.#expired = new Promise((resolve) => {
      this.#timer = setTimeout(() => resolve('expired'), ms)
    })
  }
}
