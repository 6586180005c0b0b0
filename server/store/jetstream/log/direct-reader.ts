// DirectReader: reads messages from a stream with batched Direct Get, which any of the stream's servers may answer. A
// batch is complete or it is requested again: each message names its predecessor, so a gap after a reconnect is
// detected. Limits: concurrent batches, waiting readers, and time. The answering server may lag: callers that need
// every message compare with the leader's tip.
import { setTimeout as sleep } from 'node:timers/promises'
import { createInbox, type Msg, type NatsConnection } from '@nats-io/transport-node'
import type { Seq } from '../../ports/entry.ts'
import { StorageError } from '../../ports/errors.ts'
import type { StoredMessage } from './record.ts'

export interface DirectReaderLimits {
  /** Concurrent batches. */
  readonly concurrency: number
  /** Readers that wait for a free slot. */
  readonly waiting: number
  /** Milliseconds without a message before a batch is requested again. */
  readonly attemptMs: number
  /** Milliseconds until a read fails with `StorageError`. */
  readonly deadlineMs: number
}

const DIRECT_READER_LIMITS: DirectReaderLimits = {
  concurrency: 64,
  waiting: 50_000,
  attemptMs: 2_000,
  deadlineMs: 10_000,
}

export interface RangeRequest {
  readonly stream: string
  /** Only subjects that match; default all. */
  readonly filter?: string
  /** The first sequence number to read. */
  readonly from: Seq
  readonly entries: number
  readonly bytes: number
}

export interface Batch {
  readonly messages: readonly StoredMessage[]
  /** How many more messages match. */
  readonly pending: number
}

interface PendingRead {
  readonly messages: StoredMessage[]
  readonly done: (result: Batch | Failure) => void
  readonly until: number
  previous: Seq
  lastMessageAt: number
}

/** Why a batch is incomplete, and whether to request it again. */
interface Failure {
  readonly retry: boolean
  readonly reason: string
}

const TICK_MS = 250
const RETRY_MS = 50
const EMPTY: Batch = { messages: [], pending: 0 }
const MAX_SUBJECTS = 1_024
/** The request matches too many messages; the server does not support the request. */
const TOO_MANY = 413
const BAD_REQUEST = 408

export class DirectReader {
  readonly #connection: NatsConnection
  readonly #limits: DirectReaderLimits
  readonly #inbox = createInbox()
  readonly #pending = new Map<number, PendingRead>()
  readonly #waiting: (() => void)[] = []
  #usedSlots = 0
  #token = 0
  #closed = false
  readonly #timer: NodeJS.Timeout

  constructor(connection: NatsConnection, limits: Partial<DirectReaderLimits> = {}) {
    this.#connection = connection
    this.#limits = { ...DIRECT_READER_LIMITS, ...limits }
    connection.subscribe(`${this.#inbox}.*`, { callback: (_, message) => this.#received(message) })
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  /** Messages in order, starting at a sequence number. @throws StorageError */
  range({ stream, filter, from, entries, bytes }: RangeRequest): Promise<Batch> {
    const subject = filter === undefined ? {} : { next_by_subj: filter }
    return this.#read(stream, { seq: from, batch: entries, max_bytes: bytes, ...subject })
  }

  /** The last message of each matching subject, in order. @throws StorageError, also for too many messages */
  async lastBySubject(stream: string, patterns: readonly string[]): Promise<readonly StoredMessage[]> {
    const { messages, pending } = await this.#read(stream, { multi_last: patterns, batch: MAX_SUBJECTS })
    if (pending > 0) throw new StorageError('unavailable')
    return messages
  }

  /**
   * The last message of each subject that matches a pattern, in order, starting at a sequence number. Undefined if
   * there are more than 1,024 messages or more bytes, or the server does not support the request. @throws StorageError
   */
  async lastBySubjectFrom(
    stream: string,
    pattern: string,
    from: Seq,
    bytes: number,
  ): Promise<readonly StoredMessage[] | undefined> {
    const request = { multi_last: [pattern], batch: MAX_SUBJECTS, max_bytes: bytes, seq: from }
    const { messages, pending } = await this.#read(stream, request)
    return pending === 0 ? messages : undefined
  }

  /** @throws StorageError */
  async message(stream: string, seq: Seq): Promise<StoredMessage | undefined> {
    const [message] = (await this.#read(stream, { seq, batch: 1 })).messages
    return message?.seq === seq ? message : undefined
  }

  /** Requests all pending batches again, because the connection was lost. */
  interrupt(): void {
    for (const read of this.#pending.values()) read.done({ retry: true, reason: 'the connection was lost' })
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.interrupt()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async #read(stream: string, request: object): Promise<Batch> {
    const until = performance.now() + this.#limits.deadlineMs
    await this.#acquireSlot()
    try {
      for (;;) {
        if (this.#closed) throw new StorageError('unavailable')
        const batch = await this.#attempt(stream, request, until)
        if (!('retry' in batch)) return batch
        if (!batch.retry || performance.now() > until) throw new StorageError('unavailable', batch.reason)
        await sleep(RETRY_MS)
      }
    } finally {
      this.#usedSlots -= 1
      this.#waiting.shift()?.()
    }
  }

  async #acquireSlot(): Promise<void> {
    if (this.#closed || this.#waiting.length >= this.#limits.waiting) throw new StorageError('unavailable')
    if (this.#usedSlots >= this.#limits.concurrency) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#usedSlots += 1
  }

  async #attempt(stream: string, request: object, until: number): Promise<Batch | Failure> {
    const token = this.#token++
    const result = new Promise<Batch | Failure>((done) => {
      this.#pending.set(token, { messages: [], done, until, previous: 0, lastMessageAt: performance.now() })
    })
    try {
      this.#connection.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(request), {
        reply: `${this.#inbox}.${token}`,
      })
      return await result
    } catch (error) {
      return { retry: true, reason: String(error) }
    } finally {
      this.#pending.delete(token)
    }
  }

  #received(message: Msg): void {
    const read = this.#pending.get(Number(message.subject.slice(this.#inbox.length + 1)))
    if (read === undefined) return
    const { headers } = message
    const code = headers?.code ?? 0
    if (headers === undefined || code === 503) return read.done({ retry: true, reason: 'no responders' })
    if (code === 404) return read.done(EMPTY)
    const previous = Number(headers.get('Nats-Last-Sequence'))
    if (code === 204) {
      const isComplete = previous === read.previous
      const pending = Number(headers.get('Nats-Num-Pending'))
      return read.done(
        isComplete ? { messages: read.messages, pending } : { retry: true, reason: 'a gap in the batch' },
      )
    }
    if (code === TOO_MANY || code === BAD_REQUEST) return read.done({ messages: [], pending: Number.POSITIVE_INFINITY })
    if (code !== 0) return read.done({ retry: false, reason: headers.description })
    if (previous !== read.previous) return read.done({ retry: true, reason: 'a gap in the batch' })
    const seq = Number(headers.get('Nats-Sequence'))
    read.previous = seq
    read.lastMessageAt = performance.now()
    read.messages.push({ subject: headers.get('Nats-Subject'), seq, data: message.data })
  }

  #tick(): void {
    const now = performance.now()
    for (const read of this.#pending.values()) {
      const isLate = now - read.lastMessageAt > this.#limits.attemptMs || now > read.until
      if (isLate) read.done({ retry: true, reason: 'no answer in time' })
    }
  }
}
