// StorageProbe: whether the store can store anything, which a node's readiness depends on. It probes only when somebody
// asks, at most once a second, and answers with the latest result.
import type { Logger } from 'pino'

export interface StorageProbeOptions {
  /** Stores something small. Rejects if nothing can be stored. */
  readonly probe: () => Promise<void>
  readonly logger: Logger
}

const INTERVAL_MS = 1_000
/** A probe that takes longer counts as failed until it ends. */
const SLOW_MS = 5_000

export class StorageProbe {
  readonly #options: StorageProbeOptions
  #works = true
  #isRunning = false
  #startedAt = 0

  /** Starts the first probe, so that its result is known when a load balancer asks. */
  constructor(options: StorageProbeOptions) {
    this.#options = options
    void this.#run()
  }

  get works(): boolean {
    const age = performance.now() - this.#startedAt
    if (this.#isRunning) return this.#works && age < SLOW_MS
    if (age >= INTERVAL_MS) void this.#run()
    return this.#works
  }

  async #run(): Promise<void> {
    const { probe, logger } = this.#options
    this.#isRunning = true
    this.#startedAt = performance.now()
    try {
      await probe()
      if (!this.#works) logger.info('the log can store again')
      this.#works = true
    } catch (error) {
      if (this.#works) logger.warn({ err: error }, 'the log can store nothing')
      this.#works = false
    } finally {
      this.#isRunning = false
    }
  }
}
