// DirectReader: reads messages from a stream by batched Direct Get, which any of its servers may answer. A batch is
// whole or not at all: its messages name the one before them, so that a hole (the connection broke and came back in
// its midst) is seen, and the batch is asked for again. Bounded: batches at once, waiting readers, and time.
// A server that answers may lag: whoever needs to have everything compares with a tip from the leader.
import { createInbox, type Msg, type NatsConnection } from '@nats-io/transport-node'
import type { Seq } from '../../ports/entry.ts'
import { StorageError } from '../../ports/errors.ts'
import type { StoredMessage } from './record.ts'

export interface DirectReaderLimits {
  /** Batches at once. */
  readonly concurrency: number
  /** Readers that wait for their turn. */
  readonly waiting: number
  /** Milliseconds without a message before a batch is asked for again. */
  readonly attemptMs: number
  /** Milliseconds until the reader is told that the store is unavailable. */
  readonly deadlineMs: number
}

export const DIRECT_READER_LIMITS: DirectReaderLimits = {
  concurrency: 64,
  waiting: 50_000,
  attemptMs: 2_000,
  deadlineMs: 10_000,
}

export interface RangeRequest {
  readonly stream: string
  /** Only these subjects; default all. */
  readonly filter?: string
  /** The first sequence number that is wanted. */
  readonly from: Seq
  readonly entries: number
  readonly bytes: number
}

export interface Batch {
  readonly messages: readonly StoredMessage[]
  /** How many more there were after them. */
  readonly pending: number
}

interface Reading {
  readonly messages: StoredMessage[]
  readonly done: (batch: Batch | Broken) => void
  readonly until: number
  previous: Seq
  touched: number
}

/** Why a batch did not come whole. `bad`: asking again is of no use. */
interface Broken {
  readonly broken: 'again' | 'bad'
  readonly text: string
}

const TICK_MS = 250
const RETRY_MS = 50
const NONE: Batch = { messages: [], pending: 0 }
const LASTS_MAX = 1_024
/** A request that would find too many, and one that the server does not take. */
const TOO_MANY = 413
const BAD_REQUEST = 408

export class DirectReader {
  readonly #connection: NatsConnection
  readonly #limits: DirectReaderLimits
  readonly #inbox = createInbox()
  readonly #readings = new Map<number, Reading>()
  readonly #turns: (() => void)[] = []
  #busy = 0
  #token = 0
  #closed = false
  readonly #timer: NodeJS.Timeout

  constructor(connection: NatsConnection, limits: Partial<DirectReaderLimits> = {}) {
    this.#connection = connection
    this.#limits = { ...DIRECT_READER_LIMITS, ...limits }
    connection.subscribe(`${this.#inbox}.*`, { callback: (_, message) => this.#received(message) })
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  /** Messages from a sequence number on, in order. @throws StorageError */
  range({ stream, filter, from, entries, bytes }: RangeRequest): Promise<Batch> {
    const subject = filter === undefined ? {} : { next_by_subj: filter }
    return this.#read(stream, { seq: from, batch: entries, max_bytes: bytes, ...subject })
  }

  /** The last message of each subject of the patterns, in order. @throws StorageError, also when they are too many */
  async lasts(stream: string, patterns: readonly string[]): Promise<readonly StoredMessage[]> {
    const { messages, pending } = await this.#read(stream, { multi_last: patterns, batch: LASTS_MAX })
    if (pending > 0) throw new StorageError('unavailable')
    return messages
  }

  /**
   * The last message of each subject of a pattern, in order, of those from a number on; undefined when they are more
   * than 1,024, or of more bytes, or the server does not take such a question. @throws StorageError
   */
  async lastsFrom(
    stream: string,
    pattern: string,
    from: Seq,
    bytes: number,
  ): Promise<readonly StoredMessage[] | undefined> {
    const request = { multi_last: [pattern], batch: LASTS_MAX, max_bytes: bytes, seq: from }
    const { messages, pending } = await this.#read(stream, request)
    return pending === 0 ? messages : undefined
  }

  /** @throws StorageError */
  async message(stream: string, seq: Seq): Promise<StoredMessage | undefined> {
    const [message] = (await this.#read(stream, { seq, batch: 1 })).messages
    return message?.seq === seq ? message : undefined
  }

  /** The connection broke: what was being read is asked for again. */
  interrupt(): void {
    for (const reading of this.#readings.values()) reading.done({ broken: 'again', text: 'the connection broke' })
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.interrupt()
    for (const turn of this.#turns.splice(0)) turn()
  }

  async #read(stream: string, request: object): Promise<Batch> {
    const until = performance.now() + this.#limits.deadlineMs
    await this.#turn()
    try {
      for (;;) {
        if (this.#closed) throw new StorageError('unavailable')
        const batch = await this.#attempt(stream, request, until)
        if (!('broken' in batch)) return batch
        if (batch.broken === 'bad' || performance.now() > until) throw new StorageError('unavailable', batch.text)
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    } finally {
      this.#busy -= 1
      this.#turns.shift()?.()
    }
  }

  async #turn(): Promise<void> {
    if (this.#closed || this.#turns.length >= this.#limits.waiting) throw new StorageError('unavailable')
    if (this.#busy >= this.#limits.concurrency) await new Promise<void>((resolve) => this.#turns.push(resolve))
    this.#busy += 1
  }

  async #attempt(stream: string, request: object, until: number): Promise<Batch | Broken> {
    const token = this.#token++
    const result = new Promise<Batch | Broken>((done) => {
      this.#readings.set(token, { messages: [], done, until, previous: 0, touched: performance.now() })
    })
    try {
      this.#connection.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(request), {
        reply: `${this.#inbox}.${token}`,
      })
      return await result
    } catch (error) {
      return { broken: 'again', text: String(error) }
    } finally {
      this.#readings.delete(token)
    }
  }

  #received(message: Msg): void {
    const reading = this.#readings.get(Number(message.subject.slice(this.#inbox.length + 1)))
    if (reading === undefined) return
    const { headers } = message
    const code = headers?.code ?? 0
    if (headers === undefined || code === 503) return reading.done({ broken: 'again', text: 'nobody answers' })
    if (code === 404) return reading.done(NONE)
    const previous = Number(headers.get('Nats-Last-Sequence'))
    if (code === 204) {
      const whole = previous === reading.previous
      const pending = Number(headers.get('Nats-Num-Pending'))
      return reading.done(whole ? { messages: reading.messages, pending } : { broken: 'again', text: 'a hole' })
    }
    if (code === TOO_MANY || code === BAD_REQUEST)
      return reading.done({ messages: [], pending: Number.POSITIVE_INFINITY })
    if (code !== 0) return reading.done({ broken: 'bad', text: headers.description })
    if (previous !== reading.previous) return reading.done({ broken: 'again', text: 'a hole' })
    const seq = Number(headers.get('Nats-Sequence'))
    reading.previous = seq
    reading.touched = performance.now()
    reading.messages.push({ subject: headers.get('Nats-Subject'), seq, data: message.data })
  }

  #tick(): void {
    const now = performance.now()
    for (const reading of this.#readings.values()) {
      const isLate = now - reading.touched > this.#limits.attemptMs || now > reading.until
      if (isLate) reading.done({ broken: 'again', text: 'no answer in time' })
    }
  }
}
