// EventLoopLag: by how much this process is late, over the last seconds. Measured by Node's own histogram, off the event loop.
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** Milliseconds between two samples: Node counts them in. */
const RESOLUTION_MS = 20
/** Milliseconds after which what was measured is of the past. */
const PERIOD_MS = 2_000

export class EventLoopLag {
  readonly #histogram: IntervalHistogram
  #since = performance.now()
  #last = 0

  constructor() {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#histogram.enable()
  }

  /** Milliseconds; of ten samples nine were less late. */
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
