// Entry: one stored event of a session's log, with the very text that was stored. Immutable.
import type { Event } from '@parley/protocol'

/** A sequence number: grows along a session's log, not always by one. 0: before the first entry. */
export type Seq = number

export class Entry {
  readonly seq: Seq
  /** The last sequence number on the same subject before this entry; 0 when it is the subject's first. */
  readonly prev: Seq
  readonly subject: string
  /** Unix milliseconds at which it was appended. */
  readonly time: number
  /** It replaced all earlier entries of its subject. */
  readonly rollup: boolean
  /** Its JSON, or a longer text of which it is the part from `#from` on. */
  #text: string
  #from: number
  readonly #length: number
  #event: Event | undefined

  /** @param event the parsed form of `json`, where it is at hand; otherwise parsed when first asked for */
  constructor(fields: EntryFields, event?: Event) {
    this.seq = fields.seq
    this.prev = fields.prev
    this.subject = fields.subject
    this.time = fields.time
    this.rollup = fields.rollup
    this.#text = fields.json
    this.#from = 0
    this.#length = fields.json.length
    this.#event = event
  }

  /** The event as JSON: the bytes that the log holds and that every door sends. */
  get json(): string {
    const text = this.#text
    return text.length === this.#length ? text : text.slice(this.#from, this.#from + this.#length)
  }

  /** UTF-16 code units of its JSON. */
  get length(): number {
    return this.#length
  }

  get event(): Event {
    this.#event ??= JSON.parse(this.json) as Event
    return this.#event
  }

  /**
   * Keeps nothing of its own: its JSON is the part of `text` from `from` on, and the event can be parsed from it. Of
   * hundreds of thousands of tokens that wait to be settled each would hold five objects, which the collector moves one by
   * one; and nearly nobody asks for one of them again.
   */
  keepIn(text: string, from: number): void {
    this.#text = text
    this.#from = from
    this.#event = undefined
  }
}

export interface EntryFields {
  readonly seq: Seq
  readonly prev: Seq
  readonly subject: string
  readonly time: number
  readonly rollup: boolean
  readonly json: string
}
