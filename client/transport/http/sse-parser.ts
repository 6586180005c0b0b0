// SseParser: parses server-sent events from the bytes of a response (HTML standard, section 9.2.6), however the bytes
// are split. An event that never ends is an error instead of unlimited memory. Ids and retry times are ignored: each
// entry contains its cursor, and the client has its own backoff.

export interface SseEvent {
  /** The event's type; `message` if none was given. */
  readonly event: string
  readonly data: string
}

/** Limit of one event, in UTF-16 code units. */
const MAX_EVENT_CHARS = 16 * 1024 * 1024

const LINE_END = /\r\n|\r|\n/g

export class SseParser {
  readonly #decoder = new TextDecoder()
  /** The start of an incomplete line. */
  #rest = ''
  #data: string[] = []
  #chars = 0
  #type = ''

  /** Returns the events that these bytes complete. @throws SyntaxError for an event beyond the limit */
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
    if (this.#rest.length + this.#chars > MAX_EVENT_CHARS) {
      throw new SyntaxError(`An event exceeds ${MAX_EVENT_CHARS} characters.`)
    }
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
    }
  }

  #dispatch(events: SseEvent[]): void {
    if (this.#data.length > 0) {
      events.push({ event: this.#type === '' ? 'message' : this.#type, data: this.#data.join('\n') })
    }
    this.#data = []
    this.#chars = 0
    this.#type = ''
  }
}
