// LmdbRunQueue: queued runs, durable, and given to handlers of this process. A run leaves the table when its handler
// has resolved; every giving-out is counted on disk before the handler starts, so that a run that kills its owner
// is known by its attempts after the restart.
//
//   offered ── ready ── given out ── resolved: removed
//                ▲          └─ rejected: back after a delay, at once when the taker was closed
import type { Logger } from 'pino'
import { StorageError } from '../ports/errors.ts'
import type { QueuedRun, RunHandler, RunQueue, TakeLimits, Taking } from '../ports/run-queue.ts'
import type { LmdbEnvironment, Table } from './environment.ts'

export interface LmdbRunQueueOptions {
  readonly environment: LmdbEnvironment
  readonly logger: Logger
  /** Runs in the queue at most, waiting or given out; default 100,000. */
  readonly maxRuns?: number
  /** Milliseconds that `close` waits for handlers; default 5,000. */
  readonly closeTimeoutMs?: number
}

interface Row extends QueuedRun {
  readonly attempts: number
}

interface Item {
  readonly order: number
  readonly run: QueuedRun
  /** How often it was given out. */
  attempts: number
  stored: Promise<void>
  retry: NodeJS.Timeout | undefined
}

interface Taker {
  readonly handler: RunHandler
  readonly limits: TakeLimits
  readonly aborts: Set<AbortController>
  draining: boolean
  closed: boolean
}

const RETRY_DELAY_MS = 1000

export class LmdbRunQueue implements RunQueue {
  readonly apart = false
  readonly #options: LmdbRunQueueOptions
  readonly #table: Table<number, Row>
  readonly #items = new Map<string, Item>()
  /** By `order`; the oldest is given out first. */
  #ready: Item[] = []
  readonly #takers: Taker[] = []
  readonly #working = new Set<Promise<void>>()
  #order = 0
  #closed = false

  constructor(options: LmdbRunQueueOptions) {
    this.#options = options
    this.#table = options.environment.values('runs')
    for (const { key: order, value } of this.#table.range(undefined, undefined)) {
      const { attempts, session, run, command } = value
      const item: Item = {
        order,
        run: { session, run, command },
        attempts,
        stored: Promise.resolve(),
        retry: undefined,
      }
      this.#items.set(run, item)
      this.#ready.push(item)
      this.#order = order
    }
  }

  async offer(run: QueuedRun): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const known = this.#items.get(run.run)
    if (known !== undefined) return known.stored
    if (this.#items.size >= (this.#options.maxRuns ?? 100_000)) throw new StorageError('unavailable')
    const { session, command } = run
    const item: Item = {
      order: ++this.#order,
      run: { session, run: run.run, command },
      attempts: 0,
      stored: Promise.resolve(),
      retry: undefined,
    }
    this.#items.set(run.run, item)
    // Where somebody is free to take it, the first giving-out is counted in the same write.
    const taker = this.#ready.length === 0 ? this.#free() : undefined
    const reserved = taker === undefined ? undefined : this.#reserve(taker)
    if (taker !== undefined) item.attempts = 1
    item.stored = this.#store(item)
    try {
      await item.stored
    } catch (error) {
      this.#items.delete(run.run)
      if (taker !== undefined) this.#release(taker, reserved as AbortController)
      throw error
    }
    if (taker !== undefined) this.#work(taker, item, reserved as AbortController)
    else {
      this.#enqueue(item)
      this.#dispatch()
    }
  }

  async drop(session: string): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const waits = (item: Item): boolean => item.run.session === session && (ready.has(item) || item.retry !== undefined)
    const ready = new Set(this.#ready)
    const dropped = [...this.#items.values()].filter(waits)
    for (const item of dropped) {
      clearTimeout(item.retry)
      item.retry = undefined
      this.#items.delete(item.run.run)
    }
    const gone = new Set(dropped)
    this.#ready = this.#ready.filter((item) => !gone.has(item))
    if (dropped.length === 0) return
    await this.#options.environment.write(() => {
      for (const item of dropped) this.#table.remove(item.order)
    }, true)
  }

  async take(handler: RunHandler, limits: TakeLimits): Promise<Taking> {
    if (this.#closed) throw new StorageError('unavailable')
    const taker: Taker = { handler, limits, aborts: new Set(), draining: false, closed: false }
    this.#takers.push(taker)
    this.#dispatch()
    return {
      drain: () => {
        taker.draining = true
      },
      close: () => this.#closeTaker(taker),
    }
  }

  /** Tells all handlers to hand over, and waits for them, within bounds. */
  async close(): Promise<void> {
    this.#closed = true
    for (const taker of [...this.#takers]) this.#closeTaker(taker)
    for (const item of this.#items.values()) clearTimeout(item.retry)
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, this.#options.closeTimeoutMs ?? 5000, 'late')
    })
    const ended = await Promise.race([this.#ended(), patience])
    clearTimeout(timer)
    if (ended === 'late')
      this.#options.logger.warn({ handlers: this.#working.size }, 'handlers did not hand over in time')
  }

  // A handler that ends may start its last write: go on until nothing is under way.
  async #ended(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working)
  }

  #store(item: Item): Promise<void> {
    return this.#options.environment.write(() => {
      this.#table.put(item.order, { ...item.run, attempts: item.attempts })
    })
  }

  #free(): Taker | undefined {
    return this.#takers.find(({ draining, aborts, limits }) => !draining && aborts.size < limits.concurrency)
  }

  #reserve(taker: Taker): AbortController {
    const abort = new AbortController()
    taker.aborts.add(abort)
    return abort
  }

  #release(taker: Taker, abort: AbortController): void {
    taker.aborts.delete(abort)
    this.#dispatch()
  }

  #dispatch(): void {
    while (!this.#closed) {
      const taker = this.#ready.length > 0 ? this.#free() : undefined
      if (taker === undefined) return
      const item = this.#ready.shift() as Item
      const abort = this.#reserve(taker)
      item.attempts++
      item.stored = this.#store(item)
      item.stored.then(
        () => this.#work(taker, item, abort),
        () => {
          // Not counted on disk, so not given out: it is tried again with the next delay.
          item.attempts--
          taker.aborts.delete(abort)
          this.#later(item, taker)
        },
      )
    }
  }

  #work(taker: Taker, item: Item, abort: AbortController): void {
    const working = this.#handle(taker, item, abort).finally(() => this.#working.delete(working))
    this.#working.add(working)
  }

  async #handle(taker: Taker, item: Item, abort: AbortController): Promise<void> {
    if (taker.closed) return this.#giveBack(taker, item, abort)
    try {
      await taker.handler({ ...item.run, attempt: item.attempts }, abort.signal)
    } catch (error) {
      if (!abort.signal.aborted && !taker.draining)
        this.#options.logger.warn({ err: error, run: item.run.run }, 'a run was given back')
      return this.#giveBack(taker, item, abort)
    }
    this.#items.delete(item.run.run)
    taker.aborts.delete(abort)
    this.#dispatch()
    try {
      await this.#options.environment.write(() => this.#table.remove(item.order), true)
    } catch (error) {
      // It comes back after a restart; its handler finds it ended.
      this.#options.logger.warn({ err: error, run: item.run.run }, 'an ended run could not be removed from the queue')
    }
  }

  #giveBack(taker: Taker, item: Item, abort: AbortController): void {
    taker.aborts.delete(abort)
    if (taker.closed || taker.draining) this.#enqueue(item)
    else this.#later(item, taker)
    this.#dispatch()
  }

  #later(item: Item, taker: Taker): void {
    if (this.#closed) return
    item.retry = setTimeout(() => {
      item.retry = undefined
      this.#enqueue(item)
      this.#dispatch()
    }, taker.limits.retryDelayMs ?? RETRY_DELAY_MS)
  }

  #enqueue(item: Item): void {
    let at = this.#ready.length
    while (at > 0 && (this.#ready[at - 1] as Item).order > item.order) at--
    this.#ready.splice(at, 0, item)
  }

  #closeTaker(taker: Taker): void {
    if (taker.closed) return
    taker.closed = true
    this.#takers.splice(this.#takers.indexOf(taker), 1)
    for (const abort of taker.aborts) abort.abort()
  }
}
