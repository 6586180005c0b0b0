// When a client that polls a job should poll again. `pollMeanMs` chooses the mean interval from the job's age and the
// node's load. PollSchedule spreads polls around that mean: it counts the expected polls in a ring of short buckets,
// and chooses a bucket with room. Retry-After has whole seconds only, so in a crowd the answer itself is delayed by
// part of a second. So clients that started together drift apart without a jitter of their own. The ring's size does
// not depend on the clients.
import type { JobState } from '@parley/protocol'

export interface NodeLoad {
  /** Polls that are expected in the future. */
  readonly expected: number
  /** The share of this node's run capacity that is in use, from 0 to 1; 0 on a node that drives no runs. */
  readonly busy: number
  /** Milliseconds by which the event loop lags. */
  readonly lagMs: number
}

export interface WaitingJob {
  readonly state: JobState
  /** Milliseconds since its message. */
  readonly ageMs: number
  /** Number of runs that precede it in its session's queue. */
  readonly ahead: number
}

/** When to answer, and when the client should poll again. */
export interface Pace {
  /** Milliseconds by which to delay the answer; 0 except in a crowd. */
  readonly holdMs: number
  /** The value of Retry-After. */
  readonly seconds: number
}

/** Limits of the mean interval in milliseconds. */
const MEAN_MIN_MS = 1_000
const MEAN_MAX_MS = 60_000
/** Longest interval that depends on the job's age alone. */
const CALM_MS = 20_000
/** The interval grows by this share of the job's age, so that a client learns of the end late by that share at most. */
const AGE_SHARE = 0.2
/** Polls per second that one node should get at most. */
const POLLS_PER_S = 400
/** Milliseconds of lag that double the interval. */
const LAG_MS = 50
const LAG_FACTOR_MAX = 2

/** Milliseconds covered by one bucket. */
const BUCKET_MS = 100
/** A bucket with this many polls is full. */
const BUCKET_CAPACITY = 40
/** Number of buckets by which an answer may be delayed: up to a second. */
const SHIFTS = 1000 / BUCKET_MS
/** The longest Retry-After in seconds. */
export const LONGEST_S = 90
const BUCKETS = ((LONGEST_S + 2) * 1000) / BUCKET_MS

/** The mean interval in milliseconds. */
export function pollMeanMs(job: WaitingJob, load: NodeLoad): number {
  const byAge = clamp(MEAN_MIN_MS + Math.max(0, job.ageMs) * AGE_SHARE, MEAN_MIN_MS, CALM_MS)
  const byState = byAge * stateFactor(job)
  const byNode = byState * (1 + clamp(load.busy, 0, 1)) * Math.min(LAG_FACTOR_MAX, 1 + Math.max(0, load.lagMs) / LAG_MS)
  // All clients together stay below POLLS_PER_S, even if all jobs are young.
  const byCrowd = (load.expected * 1000) / POLLS_PER_S
  return clamp(Math.max(byNode, byCrowd), MEAN_MIN_MS, MEAN_MAX_MS)
}

export class PollSchedule {
  readonly #random: () => number
  /** Number of expected polls: bucket `n` covers the times from `n * BUCKET_MS`, modulo the ring. */
  readonly #expected = new Uint32Array(BUCKETS)
  #total = 0
  /** The bucket of the last call; earlier buckets are empty. */
  #now = 0

  /** @param random as `Math.random` */
  constructor(random: () => number) {
    this.#random = random
  }

  /** Number of polls that are expected in the future. @param now milliseconds of a monotonic clock */
  expected(now: number): number {
    this.#advance(now)
    return this.#total
  }

  /** @param meanMs the result is between half and 1.5 times of it, longer in a large crowd, and at least one second */
  next(now: number, meanMs: number): Pace {
    this.#advance(now)
    const least = Math.min(LONGEST_S - 1, Math.max(1, Math.round(meanMs / 2000)))
    const most = Math.min(LONGEST_S, Math.max(least + 1, Math.round((meanMs * 3) / 2000)))
    const choices = most - least + 1
    // Starts at a random choice, so that none of several equal ones is preferred.
    const first = Math.floor(this.#random() * choices)
    let best = { shift: 0, seconds: least, bucket: 0, count: Number.POSITIVE_INFINITY }
    const consider = (shift: number, seconds: number): void => {
      const bucket = (Math.floor((now + seconds * 1000) / BUCKET_MS) + shift) % BUCKETS
      const count = this.#expected[bucket] ?? 0
      if (count < best.count) best = { shift, seconds, bucket, count }
    }
    for (let shift = 0; best.count >= BUCKET_CAPACITY && shift < SHIFTS; shift += 1) {
      for (let i = 0; i < choices; i += 1) consider(shift, least + ((first + i) % choices))
    }
    for (let seconds = most + 1; best.count >= BUCKET_CAPACITY && seconds <= LONGEST_S; seconds += 1) {
      consider(0, seconds)
    }
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

function stateFactor({ state, ahead }: WaitingJob): number {
  // People are slower than models.
  if (state === 'waiting') return 2
  return state === 'queued' ? 1 + Math.min(ahead, 4) / 2 : 1
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}
