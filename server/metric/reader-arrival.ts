// ReaderArrival: what is measured of one reader of a session from its coming until it is live. Then it is done with.
import type { DoorMetrics, ReaderDoor } from './door-metrics.ts'

/** What a client tells of its connection before. */
interface Before {
  readonly door: string
  readonly gapMs?: number | undefined
}

/** Whose reader it is. */
export interface ReaderOrigin {
  readonly door: ReaderDoor
  /** Of an experiment that the user takes part in. */
  readonly variant: string | undefined
}

export class ReaderArrival {
  readonly door: ReaderDoor
  readonly variant: string | undefined
  readonly resume: Before | undefined
  /** It brought a cursor. */
  readonly isBack: boolean
  readonly #since = performance.now()
  #wasReset = false

  constructor({ door, variant }: ReaderOrigin, resume: Before | undefined, isBack: boolean) {
    this.door = door
    this.variant = variant
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
