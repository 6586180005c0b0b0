// StreamReader: parses server-sent events and NDJSON lines from a fetch response, for tests. It also keeps the raw text.

export interface ServerSentEvent {
  readonly id: string | undefined
  readonly event: string
  readonly data: string
}

export class StreamReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #decoder = new TextDecoder()
  #text = ''
  #consumed = 0
  #ended = false

  constructor(response: Response) {
    if (response.body === null) throw new Error('The response has no body.')
    this.#reader = response.body.getReader()
  }

  /** Everything received so far. */
  get text(): string {
    return this.#text
  }

  /** The next event; undefined at the end. Skips comments. */
  async next(): Promise<ServerSentEvent | undefined> {
    for (;;) {
      const block = await this.#part('\n\n')
      if (block === undefined) return undefined
      const fields = block.split('\n').filter((line) => line !== '' && !line.startsWith(':'))
      const field = (name: string): string | undefined =>
        fields.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
      const data = field('data')
      if (data !== undefined) return { id: field('id'), event: field('event') ?? 'message', data }
    }
  }

  /** Events up to and including the first that matches, or to the end. */
  async until(matches: (event: ServerSentEvent) => boolean): Promise<readonly ServerSentEvent[]> {
    const events: ServerSentEvent[] = []
    for (let event = await this.next(); event !== undefined; event = await this.next()) {
      events.push(event)
      if (matches(event)) break
    }
    return events
  }

  /** The next line that is not empty; undefined at the end. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const line = await this.#part('\n')
      if (line === undefined || line !== '') return line
    }
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel()
  }

  async #part(end: string): Promise<string | undefined> {
    for (;;) {
      const at = this.#text.indexOf(end, this.#consumed)
      if (at >= 0) {
        const part = this.#text.slice(this.#consumed, at)
        this.#consumed = at + end.length
        return part
      }
      if (this.#ended) return undefined
      const { done, value } = await this.#reader.read()
      if (done) this.#ended = true
      else this.#text += this.#decoder.decode(value, { stream: true })
    }
  }
}
