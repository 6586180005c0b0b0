// Entry: one stored event of a session's log, with the exact JSON text that the log stores. Its content never changes.
import { type Event, parseJson } from '@parley/protocol'

/**
 * A sequence number: a positive integer that grows along a session's log, not always by one, because a store may number
 * the entries of all sessions together. 0 means "before the first entry", and as a subject's last number "no entry
 * yet".
 */
export type Seq = number

export class Entry {
  readonly seq: Seq
  /** The sequence number of the previous entry on the same subject, also if that entry is no longer stored. 0: none. */
  readonly prev: Seq
  readonly subject: string
  /** When it was appended, by the store's clock: Unix milliseconds. */
  readonly time: number
  /** True if it replaced all earlier entries of its subject. */
  readonly rollup: boolean
  /** The entry's JSON, or after `shareText` a longer text that contains it at `#from`. */
  #text: string
  #from: number
  readonly #length: number
  #event: Event | undefined

  /** @param event the parsed form of `fields.json`; if omitted, the entry parses it at the first access */
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

  /** The event as JSON: the text that the log stores and that every transport sends. */
  get json(): string {
    const text = this.#text
    return text.length === this.#length ? text : text.slice(this.#from, this.#from + this.#length)
  }

  /** The length of `json` in UTF-16 code units, without slicing it. */
  get length(): number {
    return this.#length
  }

  /** The event. Parsed at the first access. */
  get event(): Event {
    this.#event ??= parseJson(this.json) as Event
    return this.#event
  }

  /**
   * Drops the entry's own JSON and event, and reads both from `text`, where its JSON starts at `from`. This saves
   * garbage collection: hundreds of thousands of outputs may wait for a checkpoint, each with five objects that the
   * collector would copy, and most of them are never read again.
   */
  shareText(text: string, from: number): void {
    this.#text = text
    this.#from = from
    this.#event = undefined
  }
}

/** The fields of an `Entry`, with the same meaning. */
export interface EntryFields {
  readonly seq: Seq
  readonly prev: Seq
  readonly subject: string
  readonly time: number
  readonly rollup: boolean
  readonly json: string
}
