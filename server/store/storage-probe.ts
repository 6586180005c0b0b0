// StorageProbe: whether the store can store anything, which a node's readiness depends on. It probes only when somebody
// asks, at most once a second. The caller waits for the probe, so that a load balancer with a long interval does not get
// the result of its previous request.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'

export interface StorageProbeOptions {
  /** Stores something small. Rejects if nothing can be stored. */
  readonly probe: () => Promise<void>
  readonly logger: Logger
}

const INTERVAL_MS = 1_000
/** The answer does not wait longer for a probe, because health checks have timeouts of a second. */
const WAIT_MS = 500
/** A probe that takes longer counts as failed until it ends. */
const SLOW_MS = 5_000

export class StorageProbe {
  readonly #options: StorageProbeOptions
  #works = true
  #running: Promise<void> | undefined
  #startedAt = 0

  /** Starts the first probe, so that its result is known when a load balancer asks. */
  constructor(options: StorageProbeOptions) {
    this.#options = options
    this.#start()
  }

  /** The result of a probe that is less than a second old or, if the current probe is slow, of the one before. Never rejects. */
  async check(): Promise<boolean> {
    if (this.#running === undefined && this.#age() >= INTERVAL_MS) this.#start()
    const running = this.#running
    if (running !== undefined) {
      if (this.#age() >= SLOW_MS) return false
      await Promise.race([running, sleep(WAIT_MS, undefined, { ref: false })])
    }
    return this.#works
  }

  #age(): number {
    return performance.now() - this.#startedAt
  }

  #start(): void {
    this.#startedAt = performance.now()
    this.#running = this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    const { probe, logger } = this.#options
    try {
      await probe()
      if (!this.#works) logger.info('the log can store again')
      this.#works = true
    } catch (error) {
      if (this.#works) logger.warn({ err: error }, 'the log can store nothing')
      this.#works = false
    }
  }
}
