// The spread of polls: a thousand clients that start at the same moment and follow Retry-After. Seeded, so that the
// figures are the same in every run; the limits hold for any seed.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LONGEST_S, PollSchedule, pollMeanMs } from './poll-schedule.ts'

/** A random generator with a seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Crowd {
  readonly seed: number
  readonly clients: number
  /** Duration of the jobs in milliseconds. */
  readonly jobMs: number
  /** Milliseconds that the server needs for one request; it answers one at a time. */
  readonly serviceMs: number
}

/** The times of all polls in milliseconds until the jobs end. Each client follows Retry-After exactly. */
function polls({ seed, clients, jobMs, serviceMs }: Crowd): number[] {
  const schedule = new PollSchedule(seeded(seed))
  const times: number[] = []
  let due = Array.from({ length: clients }, () => 0)
  let free = 0
  while (due.length > 0) {
    due.sort((a, b) => a - b)
    const at = due.shift() as number
    if (at > 0) times.push(at)
    const answered = Math.max(at, free) + serviceMs
    free = answered
    if (answered >= jobMs) continue
    const load = { expected: schedule.expected(answered), busy: 0, lagMs: 0 }
    const mean = pollMeanMs({ state: 'running', ageMs: answered, ahead: 0 }, load)
    const { holdMs, seconds } = schedule.next(answered, mean)
    due.push(answered + holdMs + seconds * 1000)
    // Keeps the array small, because it is sorted in each turn.
    if (due.length > clients) due = due.slice(0, clients)
  }
  return times
}

/** The largest number of times within one interval. */
function fullest(times: readonly number[], bucketMs: number): number {
  const counts = new Map<number, number>()
  for (const time of times) {
    const bucket = Math.floor(time / bucketMs)
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  }
  return Math.max(...counts.values())
}

describe('a thousand pollers that start at the same moment', () => {
  const crowd = { seed: 1, clients: 1_000, jobMs: 60_000, serviceMs: 0.4 }

  it('spread: at most 5 % of them poll within 100 ms, and at most 41 % within a second', () => {
    const times = polls(crowd)
    expect(fullest(times, 100)).toBeLessThanOrEqual(50)
    expect(fullest(times, 1_000)).toBeLessThanOrEqual(410)
  })

  it('spread also if all are answered at once, as after one commit', () => {
    expect(fullest(polls({ ...crowd, serviceMs: 0.001 }), 100)).toBeLessThanOrEqual(50)
  })

  it('spread with any seed', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const times = polls({ ...crowd, seed, jobMs: 20_000 })
        expect(fullest(times, 100)).toBeLessThanOrEqual(50)
      }),
      { numRuns: 10 },
    )
  })

  it('poll less and less often: about ten times for a job of a minute', () => {
    const each = polls(crowd).length / crowd.clients
    expect(each).toBeGreaterThan(5)
    expect(each).toBeLessThan(15)
  })
})

describe('a poll schedule', () => {
  it('returns whole seconds around the mean', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 120_000 }), fc.array(fc.integer({ min: 0, max: 3_000 })), (mean, waits) => {
        const schedule = new PollSchedule(seeded(mean))
        let now = 0
        for (const wait of waits) {
          now += wait
          const { seconds, holdMs } = schedule.next(now, mean)
          expect(holdMs).toBe(0)
          expect(Number.isInteger(seconds)).toBe(true)
          expect(seconds).toBeGreaterThanOrEqual(1)
          expect(seconds).toBeLessThanOrEqual(Math.max(2, Math.min(LONGEST_S, mean * 0.0015 + 1)))
        }
      }),
    )
  })

  it('delays answers only in a crowd and by less than a second, without longer intervals', () => {
    const schedule = new PollSchedule(seeded(3))
    const paces = Array.from({ length: 600 }, () => schedule.next(5_000, 1_000))
    expect(paces.slice(0, 80).every(({ holdMs }) => holdMs === 0)).toBe(true)
    expect(paces.slice(80).some(({ holdMs }) => holdMs > 0)).toBe(true)
    for (const { holdMs, seconds } of paces) {
      expect(holdMs).toBeLessThan(1_000)
      expect(seconds).toBeLessThanOrEqual(2)
    }
  })

  it('counts the polls that it expects', () => {
    const schedule = new PollSchedule(seeded(7))
    const times = Array.from({ length: 200 }, (_, i) => {
      const { holdMs, seconds } = schedule.next(50 * i, 4_000)
      return 50 * i + holdMs + seconds * 1000
    })
    for (const now of [10_000, 11_500, 14_000, 16_050, 500_000]) {
      // A bucket that has started still counts as a whole.
      const due = times.filter((time) => Math.floor(time / 100) >= Math.floor(now / 100)).length
      expect(schedule.expected(now)).toBe(due)
    }
    expect(schedule.expected(1_000_000)).toBe(0)
  })
})

describe('the mean interval', () => {
  const calm = { expected: 0, busy: 0, lagMs: 0 }
  const job = { state: 'running' as const, ageMs: 0, ahead: 0 }

  it('grows with the age of the job, up to a limit', () => {
    const means = [0, 1, 10, 60, 600, 36_000].map((s) => pollMeanMs({ ...job, ageMs: s * 1000 }, calm))
    expect(means).toEqual([1_000, 1_200, 3_000, 13_000, 20_000, 20_000])
  })

  it('is longer while the job waits for people, or is queued', () => {
    expect(pollMeanMs({ ...job, state: 'waiting' }, calm)).toBe(2_000)
    expect(pollMeanMs({ ...job, state: 'queued', ahead: 1 }, calm)).toBe(1_500)
    expect(pollMeanMs({ ...job, state: 'queued', ahead: 30 }, calm)).toBe(3_000)
  })

  it('is longer on a node that is busy, lags, or has many pollers', () => {
    expect(pollMeanMs(job, { ...calm, busy: 1 })).toBe(2_000)
    expect(pollMeanMs(job, { ...calm, lagMs: 25 })).toBe(1_500)
    expect(pollMeanMs(job, { ...calm, lagMs: 10_000 })).toBe(2_000)
    expect(pollMeanMs(job, { ...calm, expected: 1_000 })).toBe(2_500)
    expect(pollMeanMs(job, { ...calm, expected: 1_000_000 })).toBe(60_000)
  })

  it('is at least a second, also after a clock jump', () => {
    expect(pollMeanMs({ ...job, ageMs: -5_000 }, calm)).toBe(1_000)
  })
})
