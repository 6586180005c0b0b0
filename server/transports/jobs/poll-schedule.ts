// PollSchedule: when those who poll this node are to come back. Each who is told a number of seconds is remembered in a
// ring of short buckets; the next one is told a number whose bucket has room. Whole seconds are all that Retry-After can
// say: so in a crowd, all of whom have the same fraction of a second in common, the answer itself is held back by a part of
// a second. So clients who began together drift apart, and none has to add a jitter of its own. Bounded: the ring's size
// does not depend on how many there are.

/** Milliseconds. */
const BUCKET_MS = 100
/** As many in a bucket are enough. */
const ENOUGH = 40
/** Buckets by which an answer may be held back: all of a second's. */
const SHIFTS = 1000 / BUCKET_MS
/** Seconds ahead that are remembered. */
export const LONGEST_S = 90
const BUCKETS = ((LONGEST_S + 2) * 1000) / BUCKET_MS

/** When to answer, and what. */
export interface Pace {
  /** Milliseconds until the answer is given; 0 but in a crowd. */
  readonly holdMs: number
  /** From then on, whole seconds: for Retry-After. */
  readonly seconds: number
}

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
   * @param meanMs about how long it should be; it is half of that to half as much again, more in a great crowd, and never 0
   */
  next(now: number, meanMs: number): Pace {
    this.#advance(now)
    const least = Math.min(LONGEST_S - 1, Math.max(1, Math.round(meanMs / 2000)))
    const most = Math.min(LONGEST_S, Math.max(least + 1, Math.round((meanMs * 3) / 2000)))
    const choices = most - least + 1
    // From a random one on, so that among equals none is preferred.
    const first = Math.floor(this.#random() * choices)
    let best = { shift: 0, seconds: least, bucket: 0, count: Number.POSITIVE_INFINITY }
    const look = (shift: number, seconds: number): void => {
      const bucket = (Math.floor((now + seconds * 1000) / BUCKET_MS) + shift) % BUCKETS
      const count = this.#expected[bucket] ?? 0
      if (count < best.count) best = { shift, seconds, bucket, count }
    }
    for (let shift = 0; best.count >= ENOUGH && shift < SHIFTS; shift += 1) {
      for (let i = 0; i < choices; i += 1) look(shift, least + ((first + i) % choices))
    }
    for (let seconds = most + 1; best.count >= ENOUGH && seconds <= LONGEST_S; seconds += 1) look(0, seconds)
    this.#expected[best.bucket] = (this.#expected[best.bucket] ?? 0) + 1
    this.#total += 1
    return { holdMs: best.shift * BUCKET_MS, seconds: best.seconds }
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
