// Appender: appends an entry to JetStream with a compare on its subject, and handles what the compare cannot: a subject
// that is new to the stream may have been trimmed, so its watermark is looked up first; an append that was sent again
// may conflict with its own first attempt, which is recognized by its id; an event that is too large for a message is
// stored in parts first. It also recognizes this node's own entries when they are republished.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { headers, type Msg } from '@nats-io/transport-node'
import { type Event, stringifyJson } from '@parley/protocol'
import { Entry, type Seq } from '../../ports/entry.ts'
import { Conflict } from '../../ports/errors.ts'
import type { JetStreamConnection } from '../connection.ts'
import type { DirectReader } from './direct-reader.ts'
import { sequenceOf } from './message-sequence.ts'
import type { Publisher } from './publisher.ts'
import { decodeLine, encodeLine, type Stored } from './record.ts'
import type { SessionSource } from './session-source.ts'

export interface AppenderOptions {
  readonly connection: JetStreamConnection
  readonly publisher: Publisher
  readonly reader: DirectReader
  readonly source: SessionSource
  /** Unix milliseconds. */
  readonly now: () => number
  /** The newest entry of the session that this node has seen; 0 if it does not follow the session. */
  readonly known: (session: string) => Seq
}

/** An append of this node in progress, whose entry may be republished before it is acknowledged. */
interface OwnAppend {
  readonly event: Event
  readonly json: string
  entry?: Entry
}

interface Append {
  readonly session: string
  readonly subject: string
  readonly expect: Seq
  readonly rollup: boolean
  readonly time: number
  readonly json: string
  readonly id: string
  readonly parts?: readonly Seq[]
}

/** Bytes reserved in a message for its headers and the fields before the JSON. */
const HEAD_BYTES = 4_096

/** Limits of the search for an own entry: predecessors to follow, and reads of a message that may be late. */
const HOPS_MAX = 64
const READS_MAX = 40
const RETRY_MS = 50

export class Appender {
  readonly #options: AppenderOptions
  readonly #own = new Map<string, OwnAppend>()
  /** First appends to a subject: they found no watermark, or are looking it up, and are not stored yet. */
  readonly #firstAppends = new Set<Promise<unknown>>()
  readonly #node = randomBytes(6).toString('base64url')
  #count = 0

  constructor(options: AppenderOptions) {
    this.#options = options
  }

  /** Resolves when the entry is stored. @throws Conflict, StorageError */
  async append(session: string, subject: string, event: Event, expect: Seq, rollup: boolean): Promise<Entry> {
    const id = `${this.#node}${(this.#count++).toString(36)}`
    const json = stringifyJson(event)
    const unsplit: Append = { session, subject, expect, rollup, time: this.#options.now(), json, id }
    const own: OwnAppend = { event, json }
    this.#own.set(id, own)
    try {
      const append = this.#isLarge(json) ? { ...unsplit, parts: await this.#storeParts(unsplit) } : unsplit
      const seq = await (expect === 0 ? this.#appendFirst(append) : this.#appendNext(append))
      return own.entry ?? new Entry({ seq, prev: expect, subject, time: append.time, rollup, json }, event)
    } finally {
      this.#own.delete(id)
    }
  }

  /** Waits for the first appends to a subject that are in progress, because they rely on a lookup of its watermark. */
  async pendingFirstAppends(): Promise<void> {
    await Promise.allSettled([...this.#firstAppends])
  }

  /** Decodes a republished message; undefined if it is not an entry. */
  decode(session: string, message: Msg): Stored | undefined {
    const seq = sequenceOf(message)
    if (seq === 0) return undefined
    const { subject } = this.#options.source.home(session).subjects.ofLive(message.subject)
    if (subject === undefined) return undefined
    const stored = decodeLine(subject, seq, message.data, (id) => this.#own.get(id)?.event)
    const own = this.#own.get(stored.id)
    if (own === undefined) return stored
    const { entry, known, id } = stored
    const { prev, time, rollup } = entry
    own.entry =
      stored.parts === undefined ? entry : new Entry({ seq, prev, subject, time, rollup, json: own.json }, own.event)
    return { entry: own.entry, known, id }
  }

  #isLarge(json: string): boolean {
    const maxBytes = this.#options.connection.maxPayload - HEAD_BYTES
    return json.length * 3 > maxBytes && Buffer.byteLength(json) > maxBytes
  }

  async #storeParts({ session, json, id }: Append): Promise<Seq[]> {
    const { subjects } = this.#options.source.home(session)
    const bytes = Buffer.from(json)
    const size = this.#options.connection.maxPayload - HEAD_BYTES
    const parts: Seq[] = []
    // Sequential, so that a large entry does not use up the limit of publishes in flight.
    for (let from = 0; from < bytes.length; from += size) {
      const subject = subjects.part(session, id, parts.length)
      parts.push(await this.#options.publisher.storeOnce(subject, bytes.subarray(from, from + size)))
    }
    return parts
  }

  async #appendFirst(append: Append): Promise<Seq> {
    const appending = this.#checkAndAppend(append)
    this.#firstAppends.add(appending)
    try {
      return await appending
    } finally {
      this.#firstAppends.delete(appending)
    }
  }

  async #checkAndAppend(append: Append): Promise<Seq> {
    const { session, subject } = append
    if ((await this.#options.source.trimmedLast(session, subject)) > 0) {
      throw new Conflict(await this.#options.source.last(session, subject))
    }
    return this.#appendNext(append)
  }

  async #appendNext(append: Append): Promise<Seq> {
    const { session, subject, expect, rollup, id } = append
    const { subjects } = this.#options.source.home(session)
    const stored = subjects.stored(session, subject)
    let compare = expect
    let retried = false
    for (;;) {
      const payload = encodeLine({ ...append, prev: expect, known: this.#options.known(session) })
      const outcome = await this.#options.publisher.publish({ subject: stored, payload, expect: compare, rollup })
      if (outcome.stored !== undefined) return outcome.stored
      retried ||= outcome.retried
      const own = retried ? await this.#find(session, outcome.last, expect, id) : undefined
      if (own !== undefined) {
        this.#announce(append, payload, own)
        return own
      }
      if (outcome.last > 0 || compare === 0) throw new Conflict(outcome.last)
      // The subject has no entries: they were trimmed, or never existed.
      const trimmed = await this.#options.source.trimmedLast(session, subject)
      if (trimmed !== expect) throw new Conflict(trimmed)
      compare = 0
    }
  }

  /** Searches the last entries of a subject for an own entry: an earlier attempt may have been stored. */
  async #find(session: string, last: Seq, expect: Seq, id: string): Promise<Seq | undefined> {
    const { stream } = this.#options.source.home(session)
    let seq = last
    for (let hops = 0; seq > expect && hops < HOPS_MAX; hops++) {
      let message = await this.#options.reader.message(stream, seq)
      // A lagging server may not have the last entry yet. A missing predecessor was replaced.
      for (let reads = 0; message === undefined && hops === 0 && reads < READS_MAX; reads++) {
        await sleep(RETRY_MS)
        message = await this.#options.reader.message(stream, seq)
      }
      if (message === undefined) return undefined
      const found = decodeLine('', seq, message.data)
      if (found.id === id) return seq
      seq = found.entry.prev
    }
    return undefined
  }

  /** Publishes the live message again: without an acknowledgement, it may not have been republished. */
  #announce({ session, subject }: Append, payload: string, seq: Seq): void {
    const messageHeaders = headers()
    messageHeaders.set('Nats-Sequence', String(seq))
    const { subjects } = this.#options.source.home(session)
    this.#options.connection.nats.publish(subjects.live(session, subject), payload, { headers: messageHeaders })
  }
}
