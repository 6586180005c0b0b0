// Appender: appends an entry to JetStream with a compare on its subject, and handles what the compare cannot: a subject
// that is new to the stream may have been trimmed, so its watermark is looked up first; an append that was sent again
// may conflict with its own first attempt, which is recognized by its id; an event that is too large for a message is
// stored in parts first. It also recognizes this node's own entries when they are republished.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { headers, type Msg } from '@nats-io/transport-node'
import { type Event, stringifyJson } from '@parley/protocol'
import type { Logger } from 'pino'
import { checkNames } from '../../entry-names.ts'
import { Entry, type Seq } from '../../ports/entry.ts'
import { Conflict } from '../../ports/errors.ts'
import type { AppendListener } from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'
import type { DirectReader } from './direct-reader.ts'
import { sequenceOf } from './message-sequence.ts'
import type { Publish, Publisher, PublishListener, Refusal } from './publisher.ts'
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
  /** @throws StorageError if the log accepts nothing */
  readonly checkOpen: () => void
  /** Resolves when this node's followers of the session have the entry; undefined: they have it. Never rejects. */
  readonly delivered: (session: string, seq: Seq) => Promise<void> | undefined
  readonly logger: Logger
}

/** An append of this node in progress. Its entry may be republished before it is acknowledged. */
interface Append {
  readonly session: string
  readonly subject: string
  readonly event: Event
  readonly expect: Seq
  readonly rollup: boolean
  readonly time: number
  readonly json: string
  readonly id: string
  readonly listener: AppendListener
  /** The parts in which a large event was stored first. */
  parts: readonly Seq[] | undefined
  /** As it was sent last. */
  payload: string
  /** As it was republished. */
  entry: Entry | undefined
}

/** Bytes reserved in a message for its headers and the fields before the JSON. */
const HEAD_BYTES = 4_096

/** Limits of the search for an own entry: predecessors to follow, and reads of a message that may be late. */
const HOPS_MAX = 64
const READS_MAX = 40
const RETRY_MS = 50

export class Appender {
  readonly #options: AppenderOptions
  /** By id. */
  readonly #own = new Map<string, Append>()
  /** First appends to a subject: they found no watermark, or are looking it up, and are not stored yet. */
  readonly #firstAppends = new Set<Promise<unknown>>()
  readonly #outcomes: PublishListener<Append>
  readonly #node = randomBytes(6).toString('base64url')
  #count = 0

  constructor(options: AppenderOptions) {
    this.#options = options
    this.#outcomes = {
      settled: (append, outcome) => {
        if (outcome.stored === undefined) this.#finish(append, this.#resolve(append, append.expect, outcome))
        else this.#stored(append, outcome.stored)
      },
      failed: ({ id, listener }, error) => this.#refuse(id, listener, error),
    }
  }

  /** Appends an entry. Throws nothing: the listener gets a RangeError, a Conflict or a StorageError. */
  submit(session: string, subject: string, event: Event, expect: Seq, listener: AppendListener, rollup = false): void {
    const id = `${this.#node}${(this.#count++).toString(36)}`
    try {
      checkNames(session, subject)
      this.#options.checkOpen()
      const time = this.#options.now()
      const json = stringifyJson(event)
      const append: Append = {
        session,
        subject,
        event,
        expect,
        rollup,
        time,
        json,
        id,
        listener,
        parts: undefined,
        payload: '',
        entry: undefined,
      }
      this.#own.set(id, append)
      if (expect === 0 || this.#isLarge(json)) this.#finish(append, this.#prepareAndAppend(append))
      else this.#options.publisher.submit(this.#message(append, expect), this.#outcomes, append)
    } catch (error) {
      this.#refuse(id, listener, error)
    }
  }

  /** Waits for the first appends to a subject that are in progress, because they rely on a lookup of its watermark. */
  async pendingFirstAppends(): Promise<void> {
    await Promise.allSettled([...this.#firstAppends])
  }

  /** Decodes a republished message; undefined if it is not an entry. */
  decode(subject: string, message: Msg): Stored | undefined {
    const seq = sequenceOf(message)
    if (seq === 0) return undefined
    const stored = decodeLine(subject, seq, message.data, (id) => this.#own.get(id)?.event)
    const own = this.#own.get(stored.id)
    if (own === undefined) return stored
    const { entry, known, id } = stored
    const { prev, time, rollup } = entry
    own.entry =
      stored.parts === undefined ? entry : new Entry({ seq, prev, subject, time, rollup, json: own.json }, own.event)
    return { entry: own.entry, known, id, parts: undefined }
  }

  #finish(append: Append, stored: Promise<Seq>): void {
    stored.then(
      (seq) => this.#stored(append, seq),
      (error: unknown) => this.#refuse(append.id, append.listener, error),
    )
  }

  #stored(append: Append, seq: Seq): void {
    const { session, subject, event, expect, rollup, time, json, id, listener } = append
    this.#own.delete(id)
    const entry = append.entry ?? new Entry({ seq, prev: expect, subject, time, rollup, json }, event)
    const late = this.#options.delivered(session, seq)
    if (late === undefined) this.#appended(listener, entry)
    else void late.then(() => this.#appended(listener, entry))
  }

  #appended(listener: AppendListener, entry: Entry): void {
    try {
      listener.appended(entry)
    } catch (error) {
      this.#threw(error)
    }
  }

  #refuse(id: string, listener: AppendListener, reason: unknown): void {
    this.#own.delete(id)
    queueMicrotask(() => {
      try {
        listener.refused(reason)
      } catch (error) {
        this.#threw(error)
      }
    })
  }

  #threw(error: unknown): void {
    this.#options.logger.error({ err: error }, 'a listener of an append threw')
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

  async #prepareAndAppend(append: Append): Promise<Seq> {
    if (this.#isLarge(append.json)) append.parts = await this.#storeParts(append)
    if (append.expect > 0) return this.#publish(append, append.expect)
    const appending = this.#appendFirst(append)
    this.#firstAppends.add(appending)
    try {
      return await appending
    } finally {
      this.#firstAppends.delete(appending)
    }
  }

  async #appendFirst(append: Append): Promise<Seq> {
    const { session, subject } = append
    if ((await this.#options.source.trimmedLast(session, subject)) > 0) {
      throw new Conflict(await this.#options.source.last(session, subject))
    }
    return this.#publish(append, 0)
  }

  async #publish(append: Append, compare: Seq, retried = false): Promise<Seq> {
    const outcome = await this.#options.publisher.publish(this.#message(append, compare))
    if (outcome.stored !== undefined) return outcome.stored
    return this.#resolve(append, compare, { last: outcome.last, retried: retried || outcome.retried })
  }

  #message(append: Append, compare: Seq): Publish {
    const { session, subject, expect, rollup, time, json, id, parts } = append
    const known = this.#options.known(session)
    append.payload = encodeLine({ prev: expect, time, rollup, known, id, json, parts })
    const stored = this.#options.source.home(session).subjects.stored(session, subject)
    return { subject: stored, payload: append.payload, expect: compare, rollup }
  }

  /** After a failed compare. @throws Conflict, unless the append is stored already, or its subject was trimmed */
  async #resolve(append: Append, compare: Seq, { last, retried }: Refusal): Promise<Seq> {
    const { session, subject, expect } = append
    const own = retried ? await this.#find(session, last, expect, append.id) : undefined
    if (own !== undefined) {
      this.#announce(append, own)
      return own
    }
    if (last > 0 || compare === 0) throw new Conflict(last)
    // The subject has no entries: they were trimmed, or never existed.
    const trimmed = await this.#options.source.trimmedLast(session, subject)
    if (trimmed !== expect) throw new Conflict(trimmed)
    return this.#publish(append, 0, retried)
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
  #announce({ session, subject, payload }: Append, seq: Seq): void {
    const messageHeaders = headers()
    messageHeaders.set('Nats-Sequence', String(seq))
    const { subjects } = this.#options.source.home(session)
    this.#options.connection.nats.publish(subjects.live(session, subject), payload, { headers: messageHeaders })
  }
}
