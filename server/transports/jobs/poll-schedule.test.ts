// A thousand who began at one moment: when they poll, told nothing but whole seconds. Seeded, so the figures are the same
// in every run; and the bounds hold for any seed.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pollMeanMs } from './pacing.ts'
import { LONGEST_S, PollSchedule } from './poll-schedule.ts'

/** mulberry32 */
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
  /** Milliseconds that the jobs take. */
  readonly jobMs: number
  /** Milliseconds of the server for one request: they are answered one after the other. */
  readonly serviceMs: number
}

/** Times in milliseconds at which they poll, until their jobs are over. Each waits as long as it is told, to the millisecond. */
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
    // Kept small: the array is sorted anew for each.
    if (due.length > clients) due = due.slice(0, clients)
  }
  return times
}

/** The most that fall into one bucket. */
function fullest(times: readonly number[], bucketMs: number): number {
  const counts = new Map<number, number>()
  for (const time of times) {
    const bucket = Math.floor(time / bucketMs)
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  }
  return Math.max(...counts.values())
}

describe('a thousand pollers who began at one moment', () => {
  const crowd = { seed: 1, clients: 1_000, jobMs: 60_000, serviceMs: 0.4 }

  it('do not come together: no 100 ms see more than a twentieth of them, and no second more than two fifths', () => {
    const times = polls(crowd)
    expect(fullest(times, 100)).toBeLessThanOrEqual(50)
    expect(fullest(times, 1_000)).toBeLessThanOrEqual(410)
  })

  it('do not, also when all are answered in one go, as by one commit', () => {
    expect(fullest(polls({ ...crowd, serviceMs: 0.001 }), 100)).toBeLessThanOrEqual(50)
  })

  it('are spread whatever the dice say', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const times = polls({ ...crowd, seed, jobMs: 20_000 })
        expect(fullest(times, 100)).toBeLessThanOrEqual(50)
      }),
      { numRuns: 10 },
    )
  })

  it('ask less and less often: of a job of a minute, ten times or so', () => {
    const each = polls(crowd).length / crowd.clients
    expect(each).toBeGreaterThan(5)
    expect(each).toBeLessThan(15)
  })
})

describe('a poll schedule', () => {
  it('says whole seconds around the mean', () => {
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

  it('holds answers back in a crowd alone, by less than a second, and then asks nobody to stay away for longer', () => {
    const schedule = new PollSchedule(seeded(3))
    const paces = Array.from({ length: 600 }, () => schedule.next(5_000, 1_000))
    expect(paces.slice(0, 80).every(({ holdMs }) => holdMs === 0)).toBe(true)
    expect(paces.slice(80).some(({ holdMs }) => holdMs > 0)).toBe(true)
    for (const { holdMs, seconds } of paces) {
      expect(holdMs).toBeLessThan(1_000)
      expect(seconds).toBeLessThanOrEqual(2)
    }
  })

  it('knows how many are still to come', () => {
    const schedule = new PollSchedule(seeded(7))
    const times = Array.from({ length: 200 }, (_, i) => {
      const { holdMs, seconds } = schedule.next(50 * i, 4_000)
      return 50 * i + holdMs + seconds * 1000
    })
    for (const now of [10_000, 11_500, 14_000, 16_050, 500_000]) {
      // A bucket that has begun counts whole.
      const due = times.filter((time) => Math.floor(time / 100) >= Math.floor(now / 100)).length
      expect(schedule.expected(now)).toBe(due)
    }
    expect(schedule.expected(1_000_000)).toBe(0)
  })
})

describe('how long to wait for a job', () => {
  const calm = { expected: 0, busy: 0, lagMs: 0 }
  const job = { state: 'running' as const, ageMs: 0, ahead: 0 }

  it('grows with its age, up to a bound', () => {
    const means = [0, 1, 10, 60, 600, 36_000].map((s) => pollMeanMs({ ...job, ageMs: s * 1000 }, calm))
    expect(means).toEqual([1_000, 1_200, 3_000, 13_000, 20_000, 20_000])
  })

  it('is longer while it waits for people, or for its turn', () => {
    expect(pollMeanMs({ ...job, state: 'waiting' }, calm)).toBe(2_000)
    expect(pollMeanMs({ ...job, state: 'queued', ahead: 1 }, calm)).toBe(1_500)
    expect(pollMeanMs({ ...job, state: 'queued', ahead: 30 }, calm)).toBe(3_000)
  })

  it('is longer on a node that is busy, that lags, or that many wait at', () => {
    expect(pollMeanMs(job, { ...calm, busy: 1 })).toBe(2_000)
    expect(pollMeanMs(job, { ...calm, lagMs: 25 })).toBe(1_500)
    expect(pollMeanMs(job, { ...calm, lagMs: 10_000 })).toBe(2_000)
    expect(pollMeanMs(job, { ...calm, expected: 1_000 })).toBe(2_500)
    expect(pollMeanMs(job, { ...calm, expected: 1_000_000 })).toBe(60_000)
  })

  it('is never nothing, whatever a clock says', () => {
    expect(pollMeanMs({ ...job, ageMs: -5_000 }, calm)).toBe(1_000)
  })
})
