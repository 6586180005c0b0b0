// SseParser: server-sent events out of the bytes of a response, as the HTML standard has it (section 9.2.6). However
// the bytes are cut, the events are the same. Bounded: an event that never ends is an error, not memory.

export interface SseEvent {
  /** The event's type; `message` where none was given. */
  readonly event: string
  readonly data: string
  /** The last id that was given, by this event or one before it. */
  readonly id: string
}

/** UTF-16 code units of one event. */
const MAX_EVENT_CHARS = 16 * 1024 * 1024

const LINE_END = /\r\n|\r|\n/g

export class SseParser {
  readonly #decoder = new TextDecoder()
  /** The beginning of a line whose end has not come. */
  #rest = ''
  #data: string[] = []
  #chars = 0
  #type = ''
  #id = ''
  #retryMs: number | undefined

  /** Milliseconds that the server asks for between a break and the next try. */
  get retryMs(): number | undefined {
    return this.#retryMs
  }

  /** The events that these bytes complete. @throws SyntaxError for an event beyond the bound */
  push(bytes: Uint8Array): SseEvent[] {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true })
    const events: SseEvent[] = []
    let from = 0
    LINE_END.lastIndex = 0
    for (let end = LINE_END.exec(text); end !== null; end = LINE_END.exec(text)) {
      // A CR at the very end may be half of a CRLF.
      if (end[0] === '\r' && end.index === text.length - 1) break
      this.#line(text.slice(from, end.index), events)
      from = LINE_END.lastIndex
    }
    this.#rest = text.slice(from)
    if (this.#rest.length + this.#chars > MAX_EVENT_CHARS) throw new SyntaxError('an event is too long')
    return events
  }

  #line(line: string, events: SseEvent[]): void {
    if (line === '') {
      this.#dispatch(events)
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) return
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') {
      this.#data.push(value)
      this.#chars += value.length + 1
    } else if (field === 'event') {
      this.#type = value
    } else if (field === 'id') {
      if (!value.includes('\0')) this.#id = value
    } else if (field === 'retry' && /^[0-9]{1,9}$/.test(value)) {
      this.#retryMs = Number(value)
    }
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#data.length > 0) {
      events.push({ event: this.#type === '' ? 'message' : this.#type, data: this.#data.join('\n'), id: this.#id })
    }
    this.#data = []
    this.#chars = 0
    this.#type = ''
  }
}
