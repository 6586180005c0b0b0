// LmdbRunQueue: the run queue of a data folder, which delivers runs to handlers of this process. A run's row is removed
// when its handler has resolved. The queue counts every delivery on disk before the handler starts, so a run that kills
// the process is recognized after the restart by its attempts.
//
//   offered ── ready ── delivered ── handler resolved: removed
//                ▲          └─ handler rejected: ready again after a delay, or at once if its consumer drains or is closed
import type { Logger } from 'pino'
import { StorageError } from '../ports/errors.ts'
import {
  type QueuedRun,
  type RunHandler,
  type RunQueue,
  type RunSubscription,
  roomFor,
  type TakeLimits,
} from '../ports/run-queue.ts'
import type { LmdbEnvironment, Table } from './environment.ts'

export interface LmdbRunQueueOptions {
  readonly environment: LmdbEnvironment
  readonly logger: Logger
  /** Maximum number of runs in the queue, waiting or delivered; default 250,000: every run of a full node may have child runs and steering messages. */
  readonly maxRuns?: number
  /** Milliseconds for which `close` waits for handlers; default 5,000. */
  readonly closeTimeoutMs?: number
}

interface Row extends QueuedRun {
  readonly attempts: number
}

interface QueueItem {
  readonly order: number
  readonly run: QueuedRun
  /** The number of deliveries. */
  attempts: number
  stored: Promise<void>
  retry: NodeJS.Timeout | undefined
}

interface Consumer {
  readonly handler: RunHandler
  readonly limits: TakeLimits
  readonly aborts: Set<AbortController>
  /** Handlers that wait. */
  idle: number
  /** The idle ones that wait for other runs. */
  forRuns: number
  draining: boolean
  closed: boolean
}

const RETRY_DELAY_MS = 1000

export class LmdbRunQueue implements RunQueue {
  readonly offerFirst = false
  readonly #options: LmdbRunQueueOptions
  readonly #table: Table<number, Row>
  readonly #items = new Map<string, QueueItem>()
  /** Sorted by `order`: the oldest is delivered first. */
  #ready: QueueItem[] = []
  readonly #consumers: Consumer[] = []
  readonly #working = new Set<Promise<void>>()
  #order = 0
  #closed = false

  constructor(options: LmdbRunQueueOptions) {
    this.#options = options
    this.#table = options.environment.values('runs')
    for (const { key: order, value } of this.#table.range(undefined, undefined)) {
      this.#ready.push(this.#add(value, order, value.attempts))
      this.#order = order
    }
  }

  async offer(run: QueuedRun): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const known = this.#items.get(run.run)
    if (known !== undefined) return known.stored
    if (this.#items.size >= (this.#options.maxRuns ?? 250_000)) throw new StorageError('unavailable')
    const item = this.#add(run, ++this.#order, 0)
    // If a consumer is free, the same write stores the run and counts its first delivery.
    const consumer = this.#ready.length === 0 ? this.#freeConsumer() : undefined
    const reserved = consumer === undefined ? undefined : this.#reserve(consumer)
    if (consumer !== undefined) item.attempts = 1
    item.stored = this.#store(item)
    try {
      await item.stored
    } catch (error) {
      this.#items.delete(run.run)
      if (consumer !== undefined) this.#release(consumer, reserved as AbortController)
      throw error
    }
    if (consumer !== undefined) this.#startHandler(consumer, item, reserved as AbortController)
    else {
      this.#enqueue(item)
      this.#dispatch()
    }
  }

  async drop(session: string): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const ready = new Set(this.#ready)
    const isWaiting = (item: QueueItem): boolean => ready.has(item) || item.retry !== undefined
    const dropped = new Set([...this.#items.values()].filter((item) => item.run.session === session && isWaiting(item)))
    for (const item of dropped) {
      clearTimeout(item.retry)
      item.retry = undefined
      this.#items.delete(item.run.run)
    }
    this.#ready = this.#ready.filter((item) => !dropped.has(item))
    if (dropped.size === 0) return
    await this.#options.environment.write(() => {
      for (const item of dropped) this.#table.remove(item.order)
    }, true)
  }

  async take(handler: RunHandler, limits: TakeLimits): Promise<RunSubscription> {
    if (this.#closed) throw new StorageError('unavailable')
    const consumer: Consumer = {
      handler,
      limits,
      aborts: new Set(),
      idle: 0,
      forRuns: 0,
      draining: false,
      closed: false,
    }
    this.#consumers.push(consumer)
    this.#dispatch()
    return {
      drain: () => {
        consumer.draining = true
      },
      close: () => this.#closeConsumer(consumer),
    }
  }

  /** Aborts all handlers, and waits for them up to `closeTimeoutMs`. */
  async close(): Promise<void> {
    this.#closed = true
    for (const consumer of [...this.#consumers]) this.#closeConsumer(consumer)
    for (const item of this.#items.values()) clearTimeout(item.retry)
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, this.#options.closeTimeoutMs ?? 5000, 'late')
    })
    const ended = await Promise.race([this.#allHandlersEnded(), timeout])
    clearTimeout(timer)
    if (ended === 'late')
      this.#options.logger.warn({ handlers: this.#working.size }, 'handlers did not hand over in time')
  }

  // When a handler ends, the removal of its row may start; so this repeats until nothing is in flight.
  async #allHandlersEnded(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working)
  }

  #add({ session, run, command, credentials }: QueuedRun, order: number, attempts: number): QueueItem {
    const queued = { session, run, command, ...(credentials === undefined ? {} : { credentials }) }
    const item = { order, run: queued, attempts, stored: Promise.resolve(), retry: undefined }
    this.#items.set(run, item)
    return item
  }

  #store(item: QueueItem): Promise<void> {
    return this.#options.environment.write(() => {
      this.#table.put(item.order, { ...item.run, attempts: item.attempts })
    })
  }

  #freeConsumer(): Consumer | undefined {
    return this.#consumers.find(
      ({ draining, aborts, idle, forRuns, limits }) => !draining && roomFor(limits, aborts.size, idle, forRuns) > 0,
    )
  }

  #reserve(consumer: Consumer): AbortController {
    const abort = new AbortController()
    consumer.aborts.add(abort)
    return abort
  }

  #release(consumer: Consumer, abort: AbortController): void {
    consumer.aborts.delete(abort)
    this.#dispatch()
  }

  #dispatch(): void {
    while (!this.#closed) {
      const consumer = this.#ready.length > 0 ? this.#freeConsumer() : undefined
      if (consumer === undefined) return
      const item = this.#ready.shift() as QueueItem
      const abort = this.#reserve(consumer)
      item.attempts++
      item.stored = this.#store(item)
      item.stored.then(
        () => this.#startHandler(consumer, item, abort),
        () => {
          // The delivery is not counted on disk, so it must not happen: retry after the delay.
          item.attempts--
          consumer.aborts.delete(abort)
          this.#retryLater(item, consumer)
        },
      )
    }
  }

  #startHandler(consumer: Consumer, item: QueueItem, abort: AbortController): void {
    const working = this.#handle(consumer, item, abort).finally(() => this.#working.delete(working))
    this.#working.add(working)
  }

  async #handle(consumer: Consumer, item: QueueItem, abort: AbortController): Promise<void> {
    if (consumer.closed) return this.#returnRun(consumer, item, abort)
    try {
      const delivery = { ...item.run, attempt: item.attempts }
      await consumer.handler(delivery, abort.signal, (wait, forRuns) => this.#idle(consumer, wait, forRuns ? 1 : 0))
    } catch (error) {
      if (!abort.signal.aborted && !consumer.draining)
        this.#options.logger.warn({ err: error, run: item.run.run }, 'returned a run to the queue')
      return this.#returnRun(consumer, item, abort)
    }
    this.#items.delete(item.run.run)
    consumer.aborts.delete(abort)
    this.#dispatch()
    try {
      await this.#options.environment.write(() => this.#table.remove(item.order), true)
    } catch (error) {
      // The queue delivers it again after a restart, and its handler then finds that the run has ended.
      this.#options.logger.warn({ err: error, run: item.run.run }, 'an ended run could not be removed from the queue')
    }
  }

  async #idle<T>(consumer: Consumer, wait: Promise<T>, forRuns: number): Promise<T> {
    consumer.idle += 1
    consumer.forRuns += forRuns
    this.#dispatch()
    try {
      return await wait
    } finally {
      consumer.idle -= 1
      consumer.forRuns -= forRuns
    }
  }

  #returnRun(consumer: Consumer, item: QueueItem, abort: AbortController): void {
    consumer.aborts.delete(abort)
    if (consumer.closed || consumer.draining) this.#enqueue(item)
    else this.#retryLater(item, consumer)
    this.#dispatch()
  }

  #retryLater(item: QueueItem, consumer: Consumer): void {
    if (this.#closed) return
    item.retry = setTimeout(() => {
      item.retry = undefined
      this.#enqueue(item)
      this.#dispatch()
    }, consumer.limits.retryDelayMs ?? RETRY_DELAY_MS)
  }

  #enqueue(item: QueueItem): void {
    let at = this.#ready.length
    while (at > 0 && (this.#ready[at - 1] as QueueItem).order > item.order) at--
    this.#ready.splice(at, 0, item)
  }

  #closeConsumer(consumer: Consumer): void {
    if (consumer.closed) return
    consumer.closed = true
    this.#consumers.splice(this.#consumers.indexOf(consumer), 1)
    for (const abort of consumer.aborts) abort.abort()
  }
}
