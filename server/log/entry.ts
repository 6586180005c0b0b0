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
  #json: string | undefined
  #event: Event | undefined

  /** @param event the parsed form of `json`, where it is at hand; otherwise parsed when first asked for */
  constructor(fields: EntryFields, event?: Event) {
    this.seq = fields.seq
    this.prev = fields.prev
    this.subject = fields.subject
    this.time = fields.time
    this.rollup = fields.rollup
    this.#json = fields.json
    this.#event = event
  }

  /** The event as JSON: the bytes that the log holds and that every door sends. */
  get json(): string {
    this.#json ??= JSON.stringify(this.#event)
    return this.#json
  }

  get event(): Event {
    this.#event ??= JSON.parse(this.json) as Event
    return this.#event
  }

  /**
   * Lets go of the text while the event is at hand, of which it can be made again, byte for byte: nearly nobody asks
   * for an entry a second time, and of every token half the memory is its text.
   */
  slim(): void {
    if (this.#event !== undefined) this.#json = undefined
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
