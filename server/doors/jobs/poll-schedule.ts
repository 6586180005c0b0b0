// PollSchedule: when those who poll this node are to come back. Each who is told a number of seconds is remembered in a
// ring of short buckets; the next one is told the number whose bucket is emptiest. So clients who began together drift
// apart, and none has to add a jitter of its own. Bounded: the ring's size does not depend on how many there are.

/** Milliseconds. */
const BUCKET_MS = 100
/** As many in a bucket are enough: the next one is told to come later still. */
const ENOUGH = 40
/** Seconds ahead that are remembered. */
export const LONGEST_S = 90
const BUCKETS = ((LONGEST_S + 1) * 1000) / BUCKET_MS

export class PollSchedule {
  readonly #random: () => number
  /** Who is expected: bucket `n` holds those of the times from `n * BUCKET_MS` on, modulo the ring. */
  readonly #expected = new Uint32Array(BUCKETS)
  #total = 0
  /** The bucket of the last call; those before it are empty. */
  #now = 0

  /** @param random as `Math.random` */
  constructor(random: () => number) {
    this.#random = random
  }

  /** How many are told to come back later than now. @param now milliseconds of a clock that does not go back */
  expected(now: number): number {
    this.#advance(now)
    return this.#total
  }

  /**
   * Whole seconds, as the header Retry-After wants them.
   * @param meanMs about how long it should be; it is half of that to half as much again, more in a crowd, and never 0
   */
  next(now: number, meanMs: number): number {
    this.#advance(now)
    const least = Math.min(LONGEST_S - 1, Math.max(1, Math.round(meanMs / 2000)))
    const most = Math.min(LONGEST_S, Math.max(least + 1, Math.round((meanMs * 3) / 2000)))
    const choices = most - least + 1
    // From a random one on, so that among equals none is preferred.
    const first = Math.floor(this.#random() * choices)
    let best = { seconds: least, bucket: 0, count: Number.POSITIVE_INFINITY }
    const look = (seconds: number): void => {
      const bucket = Math.floor((now + seconds * 1000) / BUCKET_MS) % BUCKETS
      const count = this.#expected[bucket] ?? 0
      if (count < best.count) best = { seconds, bucket, count }
    }
    for (let i = 0; i < choices; i += 1) look(least + ((first + i) % choices))
    // A crowd, all of whom have the same fraction of a second in common.
    for (let seconds = most + 1; best.count >= ENOUGH && seconds <= LONGEST_S; seconds += 1) look(seconds)
    this.#expected[best.bucket] = (this.#expected[best.bucket] ?? 0) + 1
    this.#total += 1
    return best.seconds
  }

  #advance(now: number): void {
    const bucket = Math.floor(now / BUCKET_MS)
    for (let past = Math.max(this.#now, bucket - BUCKETS); past < bucket; past += 1) {
      this.#total -= this.#expected[past % BUCKETS] ?? 0
      this.#expected[past % BUCKETS] = 0
    }
    this.#now = Math.max(this.#now, bucket)
  }
}
