// JetStreamRunQueue: runs as messages of a work queue that all nodes share. If a node dies, another one returns its runs
// (NodeWatch). As the last resort, a run's driver sends heartbeats (`+WPI`): after `ack_wait` without one, JetStream
// delivers the run to another node. It never drops a run: the engine limits the attempts.
//
//   offered ── delivered ── driven … ── handler resolves: acknowledged and removed
//                 ▲            ├─ handler rejects: delivered again after a delay, or at once if the worker drains
//                 │            └─ lost (another node has it): the handler's signal is aborted, and JetStream gets no message
//                 └────────────── returned by another node, or ack_wait without a heartbeat
//
// If a run is delivered again to the node that drives it, its handler continues.
import type { Msg } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { StorageError } from '../../ports/errors.ts'
import {
  DeliveryLost,
  type QueuedRun,
  type RunHandler,
  type RunQueue,
  type RunSubscription,
  roomFor,
  type TakeLimits,
} from '../../ports/run-queue.ts'
import type { Subscription } from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'
import { Publisher } from '../log/publisher.ts'
import { purge } from '../maintenance/purge.ts'
import type { Streams } from '../streams.ts'
import type { NodeWatch } from '../takeover/node-watch.ts'
import { parseAck } from './ack-subject.ts'
import { PullConsumer } from './pull-consumer.ts'

export interface JetStreamRunQueueOptions {
  readonly connection: JetStreamConnection
  readonly streams: Streams
  readonly logger: Logger
  /** Records what this node drives, so that other nodes can return the runs if it dies. */
  readonly watch?: Pick<NodeWatch, 'took' | 'left' | 'onOvertaken'>
  /** Milliseconds that `close` waits for handlers; default 5,000. */
  readonly closeTimeoutMs?: number
}

interface Delivered {
  readonly run: QueuedRun
  readonly attempt: number
  /** The subject for acknowledgements. */
  readonly reply: string
}

/** A run that this node drives. */
interface DrivenRun {
  delivered: Delivered
  readonly worker: Worker
  readonly abort: AbortController
  /** When the last heartbeat was sent. */
  heartbeatAt: number
  lost: boolean
  /** A later delivery of the run to this node, while the handler that lost the run is still ending. */
  next: Delivered | undefined
}

interface Worker {
  readonly handler: RunHandler
  readonly limits: TakeLimits
  readonly driven: Set<DrivenRun>
  /** What the idle handlers wait for. */
  readonly idle: Set<Promise<unknown>>
  /** Those of them that are for other runs. */
  readonly forRuns: Set<Promise<unknown>>
  readonly consumer: PullConsumer
  /** It accepts no more runs. */
  draining: boolean
  closed: boolean
}

const RETRY_DELAY_MS = 1000
const TICK_MS = 100
const SUBJECT_TOKENS = /^[A-Za-z0-9_-]+$/

export class JetStreamRunQueue implements RunQueue {
  readonly offerFirst = true
  readonly #options: JetStreamRunQueueOptions
  readonly #publisher: Publisher
  readonly #ackWaitMs: number
  /** By session and run; the oldest heartbeat first. */
  readonly #driven = new Map<string, DrivenRun>()
  readonly #workers = new Set<Worker>()
  readonly #working = new Set<Promise<void>>()
  readonly #closings = new Set<Promise<void>>()
  /** Acknowledgements to send after a reconnect, of runs that ended while NATS was disconnected. */
  readonly #unsentAcks: string[] = []
  readonly #states: Subscription
  readonly #overtakings: Subscription | undefined
  readonly #timer: NodeJS.Timeout
  #closed = false

  constructor(options: JetStreamRunQueueOptions) {
    this.#options = options
    this.#publisher = new Publisher(options.connection.nats, options.logger)
    this.#ackWaitMs = options.streams.ackWaitMs
    this.#states = options.connection.onState((state) => (state === 'live' ? this.#resume() : this.#pause()))
    this.#overtakings = options.watch?.onOvertaken((message) => this.#overtaken(message))
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  async offer({ session, run, command, credentials }: QueuedRun): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const { prefix } = this.#options.streams
    for (const token of [session, run])
      if (!SUBJECT_TOKENS.test(token)) throw new RangeError('invalid session or run id')
    // A conflict means that the run is queued already.
    await this.#publisher.publish({
      subject: `${prefix}.run.${session}.${run}`,
      payload: JSON.stringify({ session, run, command, credentials }),
      expect: 0,
    })
  }

  async drop(session: string): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const { connection, streams } = this.#options
    if (!SUBJECT_TOKENS.test(session)) throw new RangeError('invalid session or run id')
    await purge(connection.nats, streams.runs, { filter: `${streams.prefix}.run.${session}.>` })
  }

  async take(handler: RunHandler, limits: TakeLimits): Promise<RunSubscription> {
    if (this.#closed) throw new StorageError('unavailable')
    const { connection, streams } = this.#options
    const driven = new Set<DrivenRun>()
    const idle = new Set<Promise<unknown>>()
    const forRuns = new Set<Promise<unknown>>()
    const options = {
      nats: connection.nats,
      stream: streams.runs,
      consumer: streams.runConsumer,
      // Well within `ack_wait` and the node timeout, so that a run is not delivered again to a node that was stopped.
      expiresMs: Math.min(1_000, this.#ackWaitMs * 0.4),
      capacity: () => roomFor(limits, driven.size, idle.size, forRuns.size),
      deliver: (message: Msg) => this.#delivered(worker, message),
    }
    // `deliver` may use `worker`, because messages arrive after this turn.
    const consumer = new PullConsumer(options, connection.state === 'live')
    const worker: Worker = { handler, limits, driven, idle, forRuns, consumer, draining: false, closed: false }
    this.#workers.add(worker)
    return { drain: () => this.#drain(worker), close: () => this.#closeWorker(worker) }
  }

  /** Aborts all handlers, and waits for them up to `closeTimeoutMs`. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const worker of [...this.#workers]) this.#closeWorker(worker)
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, this.#options.closeTimeoutMs ?? 5000, 'late')
    })
    const ended = await Promise.race([this.#ended(), timeout])
    clearTimeout(timer)
    clearInterval(this.#timer)
    await this.#publisher.close()
    this.#states.close()
    this.#overtakings?.close()
    if (ended === 'late')
      this.#options.logger.warn({ handlers: this.#working.size }, 'handlers did not hand over in time')
  }

  async #ended(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working)
    await Promise.all(this.#closings)
  }

  #delivered(worker: Worker, message: Msg): void {
    const delivered = read(message)
    if (delivered === undefined) {
      // Another program published it. Without `+TERM` it would be delivered forever.
      this.#options.logger.error({ subject: message.subject }, 'removed an invalid message from the run queue')
      this.#respond(message.reply as string, '+TERM')
      return
    }
    const key = keyOf(delivered.run)
    const known = this.#driven.get(key)
    if (known !== undefined) {
      if (known.lost) known.next = delivered
      else known.delivered = delivered
      this.#options.watch?.took(delivered.reply)
    } else if (worker.draining || roomOf(worker) <= 0) this.#respond(delivered.reply, '-NAK')
    else this.#begin(worker, key, delivered)
  }

  #begin(worker: Worker, key: string, delivered: Delivered): void {
    const abort = new AbortController()
    const heartbeatAt = performance.now()
    const driven: DrivenRun = { delivered, worker, abort, heartbeatAt, lost: false, next: undefined }
    this.#driven.set(key, driven)
    worker.driven.add(driven)
    this.#options.watch?.took(delivered.reply)
    const working = this.#handle(driven, key).finally(() => this.#working.delete(working))
    this.#working.add(working)
  }

  async #handle(driven: DrivenRun, key: string): Promise<void> {
    const { worker, abort } = driven
    const { run, attempt } = driven.delivered
    try {
      await worker.handler({ ...run, attempt }, abort.signal, (wait, forRuns) => this.#idle(worker, wait, forRuns))
      this.#acknowledge(driven.delivered.reply)
    } catch (error) {
      this.#release(driven, error)
    }
    this.#driven.delete(key)
    worker.driven.delete(driven)
    this.#options.watch?.left(driven.delivered.reply)
    if (worker.draining) {
      if (driven.next !== undefined) this.#respond(driven.next.reply, '-NAK')
      return
    }
    if (driven.next !== undefined) this.#begin(worker, key, driven.next)
    else worker.consumer.pull()
  }

  async #idle<T>(worker: Worker, wait: Promise<T>, forRuns = false): Promise<T> {
    worker.idle.add(wait)
    if (forRuns) worker.forRuns.add(wait)
    if (!worker.draining) worker.consumer.pull()
    try {
      return await wait
    } finally {
      worker.idle.delete(wait)
      worker.forRuns.delete(wait)
    }
  }

  /** If the acknowledgement is lost, the run is delivered again, and its handler finds that it has ended. */
  #acknowledge(reply: string): void {
    if (this.#options.connection.state === 'live') this.#respond(reply, '+ACK')
    else this.#unsentAcks.push(reply)
  }

  #release({ worker, abort, delivered, lost }: DrivenRun, error: unknown): void {
    // Another node may have the run by now. Releasing it would take it away from that node.
    if (lost || error instanceof DeliveryLost) return
    if (worker.draining) return this.#respond(delivered.reply, '-NAK')
    const { run } = delivered
    if (!abort.signal.aborted) this.#options.logger.warn({ err: error, run: run.run }, 'returned a run to the queue')
    const delayMs = worker.limits.retryDelayMs ?? RETRY_DELAY_MS
    this.#respond(delivered.reply, `-NAK {"delay": ${Math.round(delayMs * 1e6)}}`)
  }

  /** Sends the heartbeats that are due: three for each run within `ack_wait`. */
  #tick(): void {
    if (this.#options.connection.state !== 'live') return
    const now = performance.now()
    for (const [key, driven] of this.#driven) {
      const silentMs = now - driven.heartbeatAt
      if (silentMs < this.#ackWaitMs / 3) break
      // This process was stalled, so the run may have been delivered to another node.
      if (silentMs > this.#ackWaitMs) this.#lose(driven, 'no heartbeat from this node for too long')
      this.#heartbeat(key, driven, now)
    }
  }

  #heartbeat(key: string, driven: DrivenRun, now: number): void {
    driven.heartbeatAt = now
    this.#driven.delete(key)
    this.#driven.set(key, driven)
    if (!driven.lost) this.#respond(driven.delivered.reply, '+WPI')
    else if (driven.next !== undefined) this.#respond(driven.next.reply, '+WPI')
  }

  /** Another node has a later delivery. */
  #overtaken(message: number): void {
    for (const driven of this.#driven.values())
      if (parseAck(driven.delivered.reply)?.message === message) this.#lose(driven, 'another node drives it')
  }

  #lose(driven: DrivenRun, reason: string): void {
    if (driven.lost) return
    driven.lost = true
    this.#options.logger.warn({ run: driven.delivered.run.run }, `lost a run: ${reason}`)
    driven.abort.abort(new DeliveryLost())
  }

  #pause(): void {
    this.#publisher.pause()
    for (const { consumer } of this.#workers) consumer.pause()
  }

  // Other nodes may have taken over meanwhile. This node keeps its runs, and the log's compare decides. It sends
  // heartbeats before pull requests, because JetStream reads them in this order.
  #resume(): void {
    this.#publisher.resume()
    const now = performance.now()
    for (const reply of this.#unsentAcks.splice(0)) this.#respond(reply, '+ACK')
    for (const [key, driven] of [...this.#driven]) this.#heartbeat(key, driven, now)
    for (const { consumer } of this.#workers) consumer.resume()
  }

  #respond(reply: string, answer: string): void {
    const { nats, state } = this.#options.connection
    if (state === 'live' && !nats.isClosed()) nats.publish(reply, answer)
  }

  #drain(worker: Worker): void {
    if (worker.draining) return
    worker.draining = true
    const closing = worker.consumer
      .close()
      .catch((error: unknown) => this.#options.logger.debug({ err: error }, 'pull consumer did not close cleanly'))
      .finally(() => this.#closings.delete(closing))
    this.#closings.add(closing)
  }

  #closeWorker(worker: Worker): void {
    if (worker.closed) return
    worker.closed = true
    this.#drain(worker)
    this.#workers.delete(worker)
    for (const { abort } of worker.driven) abort.abort()
  }
}

function roomOf({ limits, driven, idle, forRuns }: Worker): number {
  return roomFor(limits, driven.size, idle.size, forRuns.size)
}

function keyOf({ session, run }: QueuedRun): string {
  return `${session}/${run}`
}

function read(message: Msg): Delivered | undefined {
  const { reply = '' } = message
  const { attempt } = parseAck(reply) ?? { attempt: 0 }
  try {
    const { session, run, command, credentials } = JSON.parse(message.string()) as QueuedRun
    if (![session, run, command].every((text) => typeof text === 'string') || !(attempt > 0)) return undefined
    const queued = { session, run, command, ...(typeof credentials === 'string' ? { credentials } : {}) }
    return { run: queued, attempt, reply }
  } catch {
    return undefined
  }
}
