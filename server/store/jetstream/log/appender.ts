// Appender: one append as JetStream takes it: a compare on its subject, and around it what a compare alone cannot say.
// A subject that is new to the stream may have been trimmed: its mark is looked up first. An append whose answer was
// lost conflicts with its own first try when it is sent again: it is recognised by its id. An event that is too large
// for a message is stored in parts before its line. And the entries that this node appended are known when they come back.
import { randomBytes } from 'node:crypto'
import { headers, type Msg } from '@nats-io/transport-node'
import type { Event } from '@parley/protocol'
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
  /** The newest entry of the session that this node has seen; 0 when it does not follow it. */
  readonly known: (session: string) => Seq
}

/** An append of this node whose entry may come back. */
interface Mine {
  readonly event: Event
  readonly json: string
  entry?: Entry
}

interface Placed {
  readonly session: string
  readonly subject: string
  readonly expect: Seq
  readonly rollup: boolean
  readonly time: number
  readonly json: string
  readonly id: string
  readonly parts?: readonly Seq[]
}

/** Of a message, for its headers and the fields before the JSON. */
const HEAD_BYTES = 4_096

/** How far back, and how often, an own entry is looked for below those that came after it. */
const HOPS_MAX = 64
const FINDS = 40
const FIND_MS = 50

export class Appender {
  readonly #options: AppenderOptions
  readonly #mine = new Map<string, Mine>()
  /** Appends that found no mark of their subject and are not stored yet. */
  readonly #unmarked = new Set<Promise<unknown>>()
  readonly #node = randomBytes(6).toString('base64url')
  #count = 0

  constructor(options: AppenderOptions) {
    this.#options = options
  }

  /** Resolves when it is stored. @throws Conflict, StorageError */
  async append(session: string, subject: string, event: Event, expect: Seq, rollup: boolean): Promise<Entry> {
    const id = `${this.#node}${(this.#count++).toString(36)}`
    const json = JSON.stringify(event)
    const whole: Placed = { session, subject, expect, rollup, time: this.#options.now(), json, id }
    const mine: Mine = { event, json }
    this.#mine.set(id, mine)
    try {
      const placed = this.#isLarge(json) ? { ...whole, parts: await this.#storeParts(whole) } : whole
      const seq = await (expect === 0 ? this.#appendFirst(placed) : this.#appendNext(placed))
      return mine.entry ?? new Entry({ seq, prev: expect, subject, time: placed.time, rollup, json }, event)
    } finally {
      this.#mine.delete(id)
    }
  }

  /** Resolves when the appends that found no mark until now are stored, or not. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#unmarked])
  }

  /** Makes an entry of what was republished; undefined when it is none. */
  decode(session: string, message: Msg): Stored | undefined {
    const seq = sequenceOf(message)
    if (seq === 0) return undefined
    const { subject } = this.#options.source.home(session).subjects.ofLive(message.subject)
    if (subject === undefined) return undefined
    const stored = decodeLine(subject, seq, message.data, (id) => this.#mine.get(id)?.event)
    const mine = this.#mine.get(stored.id)
    if (mine === undefined) return stored
    const { entry, known, id } = stored
    const { prev, time, rollup } = entry
    mine.entry =
      stored.parts === undefined ? entry : new Entry({ seq, prev, subject, time, rollup, json: mine.json }, mine.event)
    return { entry: mine.entry, known, id }
  }

  #isLarge(json: string): boolean {
    const room = this.#options.connection.maxPayload - HEAD_BYTES
    return json.length * 3 > room && Buffer.byteLength(json) > room
  }

  async #storeParts({ session, json, id }: Placed): Promise<Seq[]> {
    const { subjects } = this.#options.source.home(session)
    const bytes = Buffer.from(json)
    const size = this.#options.connection.maxPayload - HEAD_BYTES
    const parts: Seq[] = []
    // One after the other: a large entry does not take all of what may be in flight.
    for (let from = 0; from < bytes.length; from += size) {
      const subject = subjects.part(session, id, parts.length)
      parts.push(await this.#options.publisher.put(subject, bytes.subarray(from, from + size)))
    }
    return parts
  }

  // A subject that is new to the stream may have been trimmed: then its mark says what its last entry was.
  async #appendFirst(placed: Placed): Promise<Seq> {
    const appending = this.#appendUnmarked(placed)
    this.#unmarked.add(appending)
    try {
      return await appending
    } finally {
      this.#unmarked.delete(appending)
    }
  }

  async #appendUnmarked(placed: Placed): Promise<Seq> {
    const { session, subject } = placed
    if ((await this.#options.source.markedLast(session, subject)) > 0) {
      throw new Conflict(await this.#options.source.last(session, subject))
    }
    return this.#appendNext(placed)
  }

  async #appendNext(placed: Placed): Promise<Seq> {
    const { session, subject, expect, rollup, id } = placed
    const { subjects } = this.#options.source.home(session)
    const stored = subjects.stored(session, subject)
    let compare = expect
    let retried = false
    for (;;) {
      const payload = encodeLine({ ...placed, prev: expect, known: this.#options.known(session) })
      const outcome = await this.#options.publisher.publish({ subject: stored, payload, expect: compare, rollup })
      if (outcome.stored !== undefined) return outcome.stored
      retried ||= outcome.retried
      const own = retried ? await this.#find(session, outcome.last, expect, id) : undefined
      if (own !== undefined) {
        this.#announce(placed, payload, own)
        return own
      }
      if (outcome.last > 0 || compare === 0) throw new Conflict(outcome.last)
      // Nothing is there any more: it was trimmed, or it never was.
      const marked = await this.#options.source.markedLast(session, subject)
      if (marked !== expect) throw new Conflict(marked)
      compare = 0
    }
  }

  /** Its own entry among the last ones of a subject: an earlier try was stored, and its answer was lost. */
  async #find(session: string, last: Seq, expect: Seq, id: string): Promise<Seq | undefined> {
    const { stream } = this.#options.source.home(session)
    let seq = last
    for (let hops = 0; seq > expect && hops < HOPS_MAX; hops++) {
      let message = await this.#options.reader.message(stream, seq)
      // A server that lags may not have the last one yet. One before it may have been replaced.
      for (let finds = 0; message === undefined && hops === 0 && finds < FINDS; finds++) {
        await new Promise((resolve) => setTimeout(resolve, FIND_MS))
        message = await this.#options.reader.message(stream, seq)
      }
      if (message === undefined) return undefined
      const found = decodeLine('', seq, message.data)
      if (found.id === id) return seq
      seq = found.entry.prev
    }
    return undefined
  }

  /** It was stored without an answer, so it may not have been republished either. */
  #announce({ session, subject }: Placed, payload: string, seq: Seq): void {
    const about = headers()
    about.set('Nats-Sequence', String(seq))
    const { subjects } = this.#options.source.home(session)
    this.#options.connection.nats.publish(subjects.live(session, subject), payload, { headers: about })
  }
}
