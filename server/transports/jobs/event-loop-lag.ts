// EventLoopLag: the lag of this process's event loop over the last seconds, measured by Node's own histogram.
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** Milliseconds between two samples. Node's figures include them. */
const RESOLUTION_MS = 20
/** Milliseconds after which a new measurement starts. */
const PERIOD_MS = 2_000

export class EventLoopLag {
  readonly #histogram: IntervalHistogram
  #since = performance.now()
  #last = 0

  constructor() {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#histogram.enable()
  }

  /** The 90th percentile in milliseconds. */
  ms(): number {
    const now = performance.now()
    if (now - this.#since >= PERIOD_MS) {
      const late = this.#histogram.percentile(90) / 1e6 - RESOLUTION_MS
      this.#last = Number.isFinite(late) ? Math.max(0, late) : 0
      this.#histogram.reset()
      this.#since = now
    }
    return this.#last
  }

  close(): void {
    this.#histogram.disable()
  }
}
