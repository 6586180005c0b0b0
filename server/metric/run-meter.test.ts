// RunMeter: its results are what a person would measure with a stopwatch.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type MeteredRun, type Pace, RunMeter } from './run-meter.ts'

const RUN: MeteredRun = {
  labels: { door: 'sse', gen_ai_request_model: 'demo', variant: '' },
  model: 'demo',
  sentAt: 1_000,
  hasSpoken: false,
  silentSince: undefined,
}

function meterOf(run: Partial<MeteredRun> = {}) {
  const results = { first: [] as number[], pause: [] as number[], pace: [] as Pace[] }
  const sink = {
    firstToken: (_labels: unknown, _model: string, seconds: number) => void results.first.push(seconds),
    takenOver: (_labels: unknown, seconds: number) => void results.pause.push(seconds),
    driverDone: (_labels: unknown, _model: string, pace: Pace) => void results.pace.push(pace),
  }
  return { meter: new RunMeter(sink, { ...RUN, ...run }), results }
}

/** Stores each delta in an entry of its own. */
function output(meter: RunMeter, times: readonly number[], from = 0): void {
  for (const [index, time] of times.entries()) {
    meter.gave(from + index + 1)
    meter.stored(time)
  }
}

it('reports the first token at once, and the pace at the end', () => {
  const { meter, results } = meterOf()
  output(meter, [1_200, 1_210, 1_260])
  expect(results).toEqual({ first: [0.2], pause: [], pace: [] })
  meter.done(3, false)
  expect(results.pace).toEqual([{ secondsPerToken: 0.03, longestSeconds: 0.05, wasted: 0 }])
})

it('excludes waits for tools from the time between tokens', () => {
  const { meter, results } = meterOf()
  output(meter, [1_010, 1_020])
  meter.nextCall()
  output(meter, [9_000, 9_010], 2)
  meter.done(4, false)
  expect(results.first).toEqual([0.01])
  expect(results.pace).toEqual([{ secondsPerToken: 0.01, longestSeconds: 0.01, wasted: 0 }])
})

it('calls back for the first output of each model call only', () => {
  const spoke: string[] = []
  const { meter } = meterOf({ spoke: () => void spoke.push('spoke') })
  output(meter, [1_010, 1_020, 1_030])
  expect(spoke).toHaveLength(1)
  meter.nextCall()
  output(meter, [9_000, 9_010], 3)
  expect(spoke).toHaveLength(2)
})

it('divides by tokens, not by entries, because a busy log joins tokens', () => {
  const { meter, results } = meterOf()
  meter.gave(1)
  meter.stored(1_000)
  meter.gave(11)
  meter.stored(1_100)
  meter.done(11, false)
  expect(results.pace[0]?.secondsPerToken).toBeCloseTo(0.01)
})

it('counts unstored tokens as wasted if a person ended the run', () => {
  for (const [isUnwanted, wasted] of [
    [true, 5],
    [false, 0],
  ] as const) {
    const { meter, results } = meterOf()
    output(meter, [1_000, 1_010])
    // Tokens in flight at the end of the run, and tokens that the provider still sent.
    meter.gave(4)
    meter.done(7, isUnwanted)
    expect(results.pace[0]?.wasted).toBe(wasted)
  }
})

it('reports the pause of a take-over, and no first token if an earlier driver produced output', () => {
  const { meter, results } = meterOf({ hasSpoken: true, silentSince: 4_000 })
  output(meter, [5_500])
  expect(results).toMatchObject({ first: [], pause: [1.5] })
  meter.done(1, false)
  expect(results.pace).toEqual([{ secondsPerToken: undefined, longestSeconds: undefined, wasted: 0 }])
})

it('is never negative, even if clocks of nodes differ', () => {
  const { meter, results } = meterOf({ sentAt: 2_000, silentSince: 2_000 })
  output(meter, [1_500])
  expect(results).toMatchObject({ first: [0], pause: [0] })
})

it('reports the mean and the maximum gap', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1, maxLength: 50 }), (gaps) => {
      const { meter, results } = meterOf()
      let time = 1_000
      output(meter, [time, ...gaps.map((gap) => (time += gap))])
      meter.done(gaps.length + 1, false)
      const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length / 1000
      expect(results.pace[0]?.secondsPerToken).toBeCloseTo(mean)
      expect(results.pace[0]?.longestSeconds).toBe(Math.max(...gaps) / 1000)
    }),
  )
})
