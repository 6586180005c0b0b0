// ReaderMeter: what is measured of one reader of a session, from its coming to its leaving. Called when that changes, never
// for an entry.
import type { DoorMetrics, ReaderDoor } from './door-metrics.ts'

/** Where a reader comes from. */
export interface Arrival {
  readonly door: ReaderDoor
  /** It brought a cursor. */
  readonly isBack: boolean
  /** What its client tells of the connection before. */
  readonly resume: { readonly door: string; readonly gapMs?: number | undefined } | undefined
}

export class ReaderMeter {
  readonly #metrics: DoorMetrics
  readonly #arrival: Arrival
  readonly #since = performance.now()
  #phase: 'coming' | 'here' | 'gone' = 'coming'
  #wasReset = false

  constructor(metrics: DoorMetrics, arrival: Arrival) {
    this.#metrics = metrics
    this.#arrival = arrival
    metrics.readerCame(arrival.door)
  }

  /** What it held could not be gone on from. */
  reset(): void {
    this.#wasReset = true
  }

  /** It is live, for the first time or again. */
  live(): void {
    if (this.#phase !== 'coming') return
    this.#phase = 'here'
    const seconds = (performance.now() - this.#since) / 1000
    this.#metrics.readerLive(this.#arrival, this.#wasReset, seconds)
  }

  /** It does not keep up. */
  behind(): void {
    this.#metrics.readerFellBehind(this.#arrival.door)
  }

  left(): void {
    if (this.#phase === 'gone') return
    this.#phase = 'gone'
    this.#metrics.readerLeft(this.#arrival.door)
  }
}
