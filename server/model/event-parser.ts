// EventParser: server-sent events of a model provider or a remote agent, from bytes that are cut anywhere.
import { ProviderStreamError } from './provider-failure.ts'

export interface ServerEvent {
  readonly data: string
  readonly name: string
}

const SINGLE = /^data: [^\r\n]+\n\n$/

/** Parses an event stream (WHATWG HTML, section 9.2.6), or takes a JSON body as one event. */
export class EventParser {
  readonly #maxChars: number
  readonly #isJson: boolean
  readonly #decoder = new TextDecoder()
  /** The incomplete line, or the JSON body so far. */
  #rest = ''
  #data: string[] = []
  #chars = 0
  #name = ''
  /** The last line ended with CR: a following LF belongs to it. */
  #afterCr = false

  /** @param maxChars UTF-16 code units of one event or of a JSON body; a longer one is `provider_garbage` */
  constructor(maxChars: number, isJson = false) {
    this.#maxChars = maxChars
    this.#isJson = isJson
  }

  push(chunk: Uint8Array): readonly ServerEvent[] {
    return this.#take(this.#decoder.decode(chunk, { stream: true }))
  }

  /** The events of an unfinished rest. A server that omits the last empty line has still sent its event, if it is whole. */
  end(): readonly ServerEvent[] {
    const last = this.#decoder.decode()
    if (this.#isJson) return [{ data: this.#rest + last, name: '' }]
    const events = [...this.#take(`${last}\n`), ...this.#take('\n')]
    return events.filter(({ data }) => data === '[DONE]' || isJson(data))
  }

  #take(text: string): ServerEvent[] {
    if (text === '') return []
    if (this.#rest.length + text.length + this.#chars > this.#maxChars)
      throw new ProviderStreamError('provider_garbage')
    if (this.#isJson) {
      this.#rest += text
      return []
    }
    // Nearly every chunk of an answer is one event.
    const isFresh = this.#rest === '' && this.#data.length === 0 && this.#name === '' && !this.#afterCr
    if (isFresh && SINGLE.test(text)) return [{ data: text.slice('data: '.length, -'\n\n'.length), name: '' }]
    const events: ServerEvent[] = []
    const joined = (this.#rest + (this.#afterCr && text.startsWith('\n') ? text.slice(1) : text)).split(/\r\n|\n|\r/)
    this.#afterCr = text.endsWith('\r')
    this.#rest = joined.pop() ?? ''
    for (const line of joined) this.#line(line, events)
    return events
  }

  #line(line: string, events: ServerEvent[]): void {
    if (line === '') {
      const data = this.#data.join('\n')
      if (data.trim() !== '') events.push({ data, name: this.#name })
      this.#data = []
      this.#chars = 0
      this.#name = ''
      return
    }
    const colon = line.indexOf(':')
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') {
      this.#data.push(value)
      this.#chars += value.length
    } else if (field === 'event') {
      this.#name = value
    }
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
