// JetStreamRunQueue: runs as messages of a work queue that all nodes share. Whoever has a run says so again and again
// (`working`); one that falls silent for `ack_wait` is replaced. JetStream never drops a run: how many owners one may
// cost is the engine's to say, by the delivery's attempt.
//
//   offered ── delivered ── working … ── resolved: acknowledged, gone
//                 ▲            ├─ rejected: back after a delay, at once when the taker was closed
//                 │            └─ lost (we slept, or another has it): the handler is told; nothing is said to JetStream
//                 └────────────── ack_wait without a sign
//
// A delivery that comes again to the node that has the run is the same run still: its handler keeps it.
import type { Msg } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { StorageError } from '../../ports/errors.ts'
import {
  DeliveryLost,
  type QueuedRun,
  type RunHandler,
  type RunQueue,
  type TakeLimits,
  type Taking,
} from '../../ports/run-queue.ts'
import type { Subscription } from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'
import { Publisher } from '../log/publisher.ts'
import { purge } from '../maintenance/purge.ts'
import type { Streams } from '../streams.ts'
import { PullConsumer } from './pull-consumer.ts'

export interface JetStreamRunQueueOptions {
  readonly connection: JetStreamConnection
  readonly streams: Streams
  readonly logger: Logger
  /** Milliseconds that `close` waits for handlers; default 5,000. */
  readonly closeTimeoutMs?: number
}

interface Delivered {
  readonly run: QueuedRun
  readonly attempt: number
  /** Where it is answered. */
  readonly reply: string
}

interface Held {
  delivered: Delivered
  readonly taker: Taker
  readonly abort: AbortController
  /** When JetStream was last told that we work on it. */
  saidAt: number
  lost: boolean
  /** It was given to us again while the handler that lost it has not ended yet. */
  next: Delivered | undefined
}

interface Taker {
  readonly handler: RunHandler
  readonly limits: TakeLimits
  readonly held: Set<Held>
  readonly puller: PullConsumer
  /** It takes no more. */
  draining: boolean
  closed: boolean
}

const RETRY_DELAY_MS = 1000
const TICK_MS = 100
const SUBJECT_TOKENS = /^[A-Za-z0-9_-]+$/

export class JetStreamRunQueue implements RunQueue {
  readonly apart = true
  readonly #options: JetStreamRunQueueOptions
  readonly #publisher: Publisher
  readonly #ackWaitMs: number
  /** By session and run; the one that was silent longest first. */
  readonly #held = new Map<string, Held>()
  readonly #takers = new Set<Taker>()
  readonly #working = new Set<Promise<void>>()
  readonly #closings = new Set<Promise<void>>()
  /** Runs that ended while the connection was away. */
  readonly #unsaid: string[] = []
  readonly #states: Subscription
  readonly #timer: NodeJS.Timeout
  #closed = false

  constructor(options: JetStreamRunQueueOptions) {
    this.#options = options
    this.#publisher = new Publisher(options.connection.nats, options.logger)
    this.#ackWaitMs = options.streams.ackWaitMs
    this.#states = options.connection.onState((state) => (state === 'live' ? this.#resume() : this.#pause()))
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  async offer({ session, run, command }: QueuedRun): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const { prefix } = this.#options.streams
    for (const token of [session, run]) if (!SUBJECT_TOKENS.test(token)) throw new RangeError('not an id')
    // Whether it is stored or was there already: it is queued.
    await this.#publisher.publish({
      subject: `${prefix}.run.${session}.${run}`,
      payload: JSON.stringify({ session, run, command } satisfies QueuedRun),
      expect: 0,
    })
  }

  async drop(session: string): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const { connection, streams } = this.#options
    if (!SUBJECT_TOKENS.test(session)) throw new RangeError('not an id')
    await purge(connection.nats, streams.runs, { filter: `${streams.prefix}.run.${session}.>` })
  }

  async take(handler: RunHandler, limits: TakeLimits): Promise<Taking> {
    if (this.#closed) throw new StorageError('unavailable')
    const { connection, streams } = this.#options
    const held = new Set<Held>()
    const options = {
      nats: connection.nats,
      stream: streams.runs,
      consumer: streams.owners,
      // Well within `ack_wait`: when we are stopped, no run that is given out anew comes to us.
      expiresMs: Math.min(2_000, this.#ackWaitMs * 0.4),
      room: () => limits.concurrency - held.size,
      deliver: (message: Msg) => this.#delivered(taker, message),
    }
    // Messages come later than this turn.
    const puller = new PullConsumer(options, connection.state === 'live')
    const taker: Taker = { handler, limits, held, puller, draining: false, closed: false }
    this.#takers.add(taker)
    return { drain: () => this.#drain(taker), close: () => this.#closeTaker(taker) }
  }

  /** Tells all handlers to hand over, and waits for them, within bounds. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const taker of [...this.#takers]) this.#closeTaker(taker)
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, this.#options.closeTimeoutMs ?? 5000, 'late')
    })
    const ended = await Promise.race([this.#ended(), patience])
    clearTimeout(timer)
    clearInterval(this.#timer)
    await this.#publisher.close()
    this.#states.close()
    if (ended === 'late')
      this.#options.logger.warn({ handlers: this.#working.size }, 'handlers did not hand over in time')
  }

  async #ended(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working)
    await Promise.all(this.#closings)
  }

  #delivered(taker: Taker, message: Msg): void {
    const delivered = read(message)
    if (delivered === undefined) {
      // Ours are well formed: it was put there by hand. It would come again for ever.
      this.#options.logger.error({ subject: message.subject }, 'a message that is no run was removed from the queue')
      this.#say(message.reply as string, '+TERM')
      return
    }
    const key = keyOf(delivered.run)
    const known = this.#held.get(key)
    if (known?.lost === false) known.delivered = delivered
    else if (known !== undefined) known.next = delivered
    else if (taker.draining || taker.held.size >= taker.limits.concurrency) this.#say(delivered.reply, '-NAK')
    else this.#begin(taker, key, delivered)
  }

  #begin(taker: Taker, key: string, delivered: Delivered): void {
    const abort = new AbortController()
    const saidAt = performance.now()
    const held: Held = { delivered, taker, abort, saidAt, lost: false, next: undefined }
    this.#held.set(key, held)
    taker.held.add(held)
    const working = this.#handle(held, key).finally(() => this.#working.delete(working))
    this.#working.add(working)
  }

  async #handle(held: Held, key: string): Promise<void> {
    const { taker, abort } = held
    const { run, attempt } = held.delivered
    try {
      await taker.handler({ ...run, attempt }, abort.signal)
      this.#acknowledge(held.delivered.reply)
    } catch (error) {
      this.#giveBack(held, error)
    }
    this.#held.delete(key)
    taker.held.delete(held)
    if (taker.draining) {
      if (held.next !== undefined) this.#say(held.next.reply, '-NAK')
      return
    }
    if (held.next !== undefined) this.#begin(taker, key, held.next)
    else taker.puller.pull()
  }

  /** Should the word be lost, the run comes once more, and its handler finds it ended. */
  #acknowledge(reply: string): void {
    if (this.#options.connection.state === 'live') this.#say(reply, '+ACK')
    else this.#unsaid.push(reply)
  }

  #giveBack({ taker, abort, delivered, lost }: Held, error: unknown): void {
    // Another may have it by now: to give back what is no longer ours would take it from them.
    if (lost || error instanceof DeliveryLost) return
    if (taker.draining) return this.#say(delivered.reply, '-NAK')
    const { run } = delivered
    if (!abort.signal.aborted) this.#options.logger.warn({ err: error, run: run.run }, 'a run was given back')
    const delayMs = taker.limits.retryDelayMs ?? RETRY_DELAY_MS
    this.#say(delivered.reply, `-NAK {"delay": ${Math.round(delayMs * 1e6)}}`)
  }

  /** Says of each run in time that it is worked on; each is said of thrice within `ack_wait`. */
  #tick(): void {
    if (this.#options.connection.state !== 'live') return
    const now = performance.now()
    for (const [key, held] of this.#held) {
      const silent = now - held.saidAt
      if (silent < this.#ackWaitMs / 3) break
      // Said in time, had we not been asleep: the run may have been given to another.
      if (silent > this.#ackWaitMs) this.#lose(held)
      this.#work(key, held, now)
    }
  }

  #work(key: string, held: Held, now: number): void {
    held.saidAt = now
    this.#held.delete(key)
    this.#held.set(key, held)
    if (!held.lost) this.#say(held.delivered.reply, '+WPI')
    else if (held.next !== undefined) this.#say(held.next.reply, '+WPI')
  }

  #lose(held: Held): void {
    if (held.lost) return
    held.lost = true
    this.#options.logger.warn({ run: held.delivered.run.run }, 'a run was lost: this node was silent for too long')
    held.abort.abort(new DeliveryLost())
  }

  #pause(): void {
    this.#publisher.pause()
    for (const { puller } of this.#takers) puller.pause()
  }

  // Whether others took over meanwhile is not known: what we hold is held on to, and the log's compare decides. First
  // the signs of life, then the requests: JetStream reads them in this order.
  #resume(): void {
    this.#publisher.resume()
    const now = performance.now()
    for (const reply of this.#unsaid.splice(0)) this.#say(reply, '+ACK')
    for (const [key, held] of [...this.#held]) this.#work(key, held, now)
    for (const { puller } of this.#takers) puller.resume()
  }

  #say(reply: string, word: string): void {
    const { nats, state } = this.#options.connection
    if (state === 'live' && !nats.isClosed()) nats.publish(reply, word)
  }

  #drain(taker: Taker): void {
    if (taker.draining) return
    taker.draining = true
    const closing = taker.puller
      .close()
      .catch((error: unknown) => this.#options.logger.debug({ err: error }, 'a puller did not close in order'))
      .finally(() => this.#closings.delete(closing))
    this.#closings.add(closing)
  }

  #closeTaker(taker: Taker): void {
    if (taker.closed) return
    taker.closed = true
    this.#drain(taker)
    this.#takers.delete(taker)
    for (const { abort } of taker.held) abort.abort()
  }
}

function keyOf({ session, run }: QueuedRun): string {
  return `${session}/${run}`
}

function read(message: Msg): Delivered | undefined {
  // $JS.ACK.<stream>.<consumer>.<attempt>.… or, with a domain and an account, $JS.ACK.<domain>.<account>.<stream>.…
  const { reply = '' } = message
  const tokens = reply.split('.')
  const attempt = Number(tokens[tokens.length === 9 ? 4 : 6])
  try {
    const { session, run, command } = JSON.parse(message.string()) as QueuedRun
    if (![session, run, command].every((text) => typeof text === 'string') || !(attempt > 0)) return undefined
    return { run: { session, run, command }, attempt, reply }
  } catch {
    return undefined
  }
}
