// ReaderArrival: what is measured of one reader of a session from its coming until it is live. Then it is done with.
import type { DoorMetrics, ReaderDoor } from './door-metrics.ts'

/** What a client tells of its connection before. */
interface Before {
  readonly door: string
  readonly gapMs?: number | undefined
}

export class ReaderArrival {
  readonly door: ReaderDoor
  readonly resume: Before | undefined
  /** It brought a cursor. */
  readonly isBack: boolean
  readonly #since = performance.now()
  #wasReset = false

  constructor(door: ReaderDoor, resume: Before | undefined, isBack: boolean) {
    this.door = door
    this.resume = resume
    this.isBack = isBack
  }

  /** What it held could not be gone on from. */
  get wasReset(): boolean {
    return this.#wasReset
  }

  reset(): void {
    this.#wasReset = true
  }

  live(metrics: DoorMetrics): void {
    metrics.readerLive(this, (performance.now() - this.#since) / 1000)
  }
}
