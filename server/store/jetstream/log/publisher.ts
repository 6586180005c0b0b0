// Publisher: compares-and-appends to JetStream, with the answers read from one inbox of our own: 3-5 µs of CPU each
// where the client's own request costs 40. A publish whose answer did not come is sent again: the compare lets only one
// of its tries be stored, and the outcome says that it was sent more than once, so that the caller can look whether
// what won is its own. Bounded: in flight, waiting, and in time; nothing is sent while the connection is away.
import { createInbox, headers, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { Seq } from '../../ports/entry.ts'
import { StorageError } from '../../ports/errors.ts'

export interface PublisherLimits {
  /** Publishes without an answer. More add waiting, and hardly throughput. */
  readonly inFlight: number
  readonly queueEntries: number
  readonly queueBytes: number
  /** Milliseconds without an answer before a publish is sent again. */
  readonly attemptMs: number
  /** Milliseconds until the caller is told that the store is unavailable. */
  readonly deadlineMs: number
}

export const PUBLISHER_LIMITS: PublisherLimits = {
  inFlight: 1_000,
  queueEntries: 100_000,
  queueBytes: 64 * 1024 * 1024,
  attemptMs: 2_000,
  deadlineMs: 10_000,
}

export interface Publish {
  readonly subject: string
  readonly payload: string | Uint8Array
  /** The last sequence number that must be on the subject. */
  readonly expect: Seq
  readonly rollup?: boolean
  /** Compare on all subjects of this pattern, not on `subject`. */
  readonly over?: string
}

/** `retried`: it was sent more than once, so what won may be its own first try. */
export type Outcome =
  | { readonly stored: Seq; readonly last?: undefined }
  | { readonly stored?: undefined; readonly last: Seq; readonly retried: boolean }

interface Job extends Publish {
  readonly bytes: number
  readonly since: number
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: StorageError) => void
  /** 0: waits to be sent. */
  sentAt: number
  tries: number
}

/** Expected where the answer is wanted and nothing is to be stored: no sequence number gets so far. */
const NEVER: Seq = Number.MAX_SAFE_INTEGER

const TICK_MS = 250
/** Before a publish that was turned away for now is sent again. */
const BACKOFF_MS = [5, 20, 50, 100, 250] as const

const WRONG_LAST = 10071
/** Somebody's append to the subject is being replicated: who won is not known yet. */
const IN_PROCESS = 10164
/** JetStream's error codes for a storage limit that was reached: of the account, the server, the stream. */
const FULL = new Set([10023, 10028, 10047, 10077, 10078])
/** A message is larger than the server or the stream takes. */
const TOO_LARGE = new Set([10054])

export class Publisher {
  readonly #connection: NatsConnection
  readonly #logger: Logger
  readonly #limits: PublisherLimits
  readonly #inbox: string
  /** In the order of their calls. */
  readonly #jobs = new Map<number, Job>()
  #waiting: number[] = []
  #next = 0
  #flying = 0
  #bytes = 0
  #token = 0
  /** When something was last stored. */
  #storedAt = 0
  #open = true
  #closed = false
  readonly #timer: NodeJS.Timeout

  constructor(connection: NatsConnection, logger: Logger, limits: Partial<PublisherLimits> = {}) {
    this.#connection = connection
    this.#logger = logger
    this.#limits = { ...PUBLISHER_LIMITS, ...limits }
    this.#inbox = createInbox()
    connection.subscribe(`${this.#inbox}.*`, { callback: (_, message) => this.#answered(message) })
    this.#timer = setInterval(() => this.#tick(), Math.min(TICK_MS, this.#limits.attemptMs / 4)).unref()
  }

  /** @throws StorageError: nothing was stored, or, after the deadline, nobody knows */
  publish(publish: Publish): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const bytes = publish.payload.length
      if (this.#closed || this.#jobs.size >= this.#limits.queueEntries) throw new StorageError('unavailable')
      if (this.#bytes > 0 && this.#bytes + bytes > this.#limits.queueBytes) throw new StorageError('unavailable')
      const token = this.#token++
      const since = performance.now()
      this.#jobs.set(token, { ...publish, bytes, since, resolve, reject, sentAt: 0, tries: 0 })
      this.#bytes += bytes
      this.#waiting.push(token)
      this.#pump()
    })
  }

  /** Stores a message on a subject that is used only once, whatever becomes of the answers. @throws StorageError */
  async put(subject: string, payload: Uint8Array): Promise<Seq> {
    const outcome = await this.publish({ subject, payload, expect: 0 })
    return outcome.stored ?? outcome.last
  }

  /**
   * The last sequence number on the subjects of a pattern, from the stream's leader: a compare that cannot hold. It
   * takes the way of an append, so whoever subscribed before sees live what is appended after the answer.
   */
  async ask(subject: string, over: string): Promise<Seq> {
    const outcome = await this.publish({ subject, payload: '', expect: NEVER, over })
    if (outcome.last === undefined) throw new Error('a compare held that cannot hold')
    return outcome.last
  }

  /**
   * Milliseconds for which the oldest publish has waited, and nothing was stored; 0 when there is none. A node with more
   * to do than it can waits long for answers, too, and they come.
   */
  get stalledMs(): number {
    for (const { since } of this.#jobs.values()) return performance.now() - Math.max(since, this.#storedAt)
    return 0
  }

  /** The connection is away: whatever was in flight waits, and is sent again by `resume`. */
  pause(): void {
    this.#open = false
    for (const [token, job] of this.#jobs) if (job.sentAt > 0) this.#land(token, job)
    // Those were called first, and go first.
    this.#waiting = [...this.#jobs.keys()]
    this.#next = 0
  }

  resume(): void {
    this.#open = true
    this.#pump()
  }

  /** Takes no more, and waits for the answers of what was taken. */
  async close(): Promise<void> {
    this.#closed = true
    const until = performance.now() + this.#limits.deadlineMs
    while (this.#jobs.size > 0 && this.#open && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    clearInterval(this.#timer)
    for (const [token, job] of this.#jobs) this.#fail(token, job, new StorageError('unavailable'))
  }

  #pump(): void {
    while (this.#open && this.#flying < this.#limits.inFlight && this.#next < this.#waiting.length) {
      const token = this.#waiting[this.#next++] as number
      const job = this.#jobs.get(token)
      if (job !== undefined && job.sentAt === 0) this.#send(token, job)
    }
    if (this.#next > 4096 || this.#next === this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#next)
      this.#next = 0
    }
  }

  #send(token: number, job: Job): void {
    try {
      const options = { reply: `${this.#inbox}.${token}`, headers: headersOf(job) }
      this.#connection.publish(job.subject, job.payload, options)
      job.sentAt = performance.now()
      job.tries += 1
      this.#flying += 1
    } catch (error) {
      // Too large for this server, or the connection was closed for good.
      this.#fail(token, job, new StorageError('unavailable', error))
    }
  }

  #land(token: number, job: Job): void {
    job.sentAt = 0
    this.#flying -= 1
    this.#waiting.push(token)
  }

  #answered(message: Msg): void {
    const token = Number(message.subject.slice(this.#inbox.length + 1))
    const job = this.#jobs.get(token)
    // An answer to an earlier try of something that was settled by another.
    if (job === undefined) return
    const answer = readAnswer(message)
    if (answer.seq !== undefined) {
      this.#storedAt = performance.now()
      this.#settle(token, job, { stored: answer.seq })
    } else if (answer.last !== undefined) this.#settle(token, job, { last: answer.last, retried: job.tries > 1 })
    else if (FULL.has(answer.code)) this.#fail(token, job, new StorageError('full', answer.text))
    else if (TOO_LARGE.has(answer.code)) this.#fail(token, job, new StorageError('unavailable', answer.text))
    else this.#turnedAway(token, job, answer.code)
  }

  // For now nothing was stored: no leader, too much at once, or an append in process. The tick sees to the deadline.
  #turnedAway(token: number, job: Job, code: number): void {
    if (job.sentAt === 0) return
    job.sentAt = Number.POSITIVE_INFINITY
    const known = code === IN_PROCESS
    if (!known) this.#logger.debug({ code }, 'JetStream turned an append away for now')
    const pause = BACKOFF_MS[Math.min(known ? Math.min(job.tries, 3) - 1 : job.tries, BACKOFF_MS.length - 1)]
    // What was turned away was not stored by this try; should an earlier one have been, it still counts as retried.
    setTimeout(() => {
      if (this.#jobs.get(token) !== job || job.sentAt === 0) return
      this.#land(token, job)
      this.#pump()
    }, pause)
  }

  #settle(token: number, job: Job, outcome: Outcome): void {
    this.#forget(token, job)
    job.resolve(outcome)
    this.#pump()
  }

  #fail(token: number, job: Job, error: StorageError): void {
    this.#forget(token, job)
    job.reject(error)
  }

  #forget(token: number, job: Job): void {
    this.#jobs.delete(token)
    this.#bytes -= job.bytes
    if (job.sentAt > 0) this.#flying -= 1
  }

  #tick(): void {
    const now = performance.now()
    const { attemptMs, deadlineMs } = this.#limits
    for (const [token, job] of this.#jobs) {
      if (now - job.since < attemptMs) break
      if (now - job.since > deadlineMs) this.#fail(token, job, new StorageError('unavailable'))
      else if (job.sentAt > 0 && now - job.sentAt > attemptMs) this.#land(token, job)
    }
    this.#pump()
  }
}

function headersOf(job: Job): MsgHdrs {
  const all = headers()
  all.set('Nats-Expected-Last-Subject-Sequence', String(job.expect))
  if (job.rollup === true) all.set('Nats-Rollup', 'sub')
  if (job.over !== undefined) all.set('Nats-Expected-Last-Subject-Sequence-Subject', job.over)
  return all
}

interface Answer {
  readonly seq?: Seq
  readonly last?: Seq
  readonly code: number
  readonly text: string
}

const STORED = /"seq": ?([1-9][0-9]*)/
const LAST = /wrong last sequence: ([0-9]+)/
const CODE = /"err_code": ?([0-9]+)/

function readAnswer(message: Msg): Answer {
  // Nobody listens on the subject: the stream has no leader now, or JetStream is off.
  if (message.data.length === 0) return { code: 503, text: 'no responders' }
  const text = message.string()
  if (!text.includes('"error"')) {
    const seq = STORED.exec(text)?.[1]
    if (seq !== undefined) return { seq: Number(seq), code: 0, text }
  }
  const code = Number(CODE.exec(text)?.[1] ?? 0)
  const last = code === WRONG_LAST ? LAST.exec(text)?.[1] : undefined
  return { ...(last === undefined ? {} : { last: Number(last) }), code, text }
}
