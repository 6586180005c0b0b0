// RunMeter: what an owner counts becomes what a person would have measured with a watch.
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
  const told = { first: [] as number[], pause: [] as number[], pace: [] as Pace[] }
  const sink = {
    firstToken: (_labels: unknown, _model: string, seconds: number) => void told.first.push(seconds),
    takenOver: (_labels: unknown, seconds: number) => void told.pause.push(seconds),
    ownerDone: (_labels: unknown, _model: string, pace: Pace) => void told.pace.push(pace),
  }
  return { meter: new RunMeter(sink, { ...RUN, ...run }), told }
}

/** Each delta alone in its entry. */
function speak(meter: RunMeter, times: readonly number[], from = 0): void {
  for (const [index, time] of times.entries()) {
    meter.gave(from + index + 1)
    meter.stored(time)
  }
}

it('tells the first token once, at once, and the pace at the end', () => {
  const { meter, told } = meterOf()
  speak(meter, [1_200, 1_210, 1_260])
  expect(told).toEqual({ first: [0.2], pause: [], pace: [] })
  meter.done(3, false)
  expect(told.pace).toEqual([{ secondsPerToken: 0.03, longestSeconds: 0.05, wasted: 0 }])
})

it('counts no wait for tools as one between tokens', () => {
  const { meter, told } = meterOf()
  speak(meter, [1_010, 1_020])
  meter.nextCall()
  speak(meter, [9_000, 9_010], 2)
  meter.done(4, false)
  expect(told.first).toEqual([0.01])
  expect(told.pace).toEqual([{ secondsPerToken: 0.01, longestSeconds: 0.01, wasted: 0 }])
})

it('tells of the first output of each model call, and of no other', () => {
  const spoke: string[] = []
  const { meter } = meterOf({ spoke: () => void spoke.push('spoke') })
  speak(meter, [1_010, 1_020, 1_030])
  expect(spoke).toHaveLength(1)
  meter.nextCall()
  speak(meter, [9_000, 9_010], 3)
  expect(spoke).toHaveLength(2)
})

it('divides by tokens, not by entries: several go in one when the log is busy', () => {
  const { meter, told } = meterOf()
  meter.gave(1)
  meter.stored(1_000)
  meter.gave(11)
  meter.stored(1_100)
  meter.done(11, false)
  expect(told.pace[0]?.secondsPerToken).toBeCloseTo(0.01)
})

it('calls wasted what the model gave and the log never had, where a person ended the run', () => {
  for (const [isUnwanted, wasted] of [
    [true, 5],
    [false, 0],
  ] as const) {
    const { meter, told } = meterOf()
    speak(meter, [1_000, 1_010])
    // In flight when the run was ended, and what the provider still sent.
    meter.gave(4)
    meter.done(7, isUnwanted)
    expect(told.pace[0]?.wasted).toBe(wasted)
  }
})

it('tells the pause of a take-over, and no first token of a run that has spoken before', () => {
  const { meter, told } = meterOf({ hasSpoken: true, silentSince: 4_000 })
  speak(meter, [5_500])
  expect(told).toMatchObject({ first: [], pause: [1.5] })
  meter.done(1, false)
  expect(told.pace).toEqual([{ secondsPerToken: undefined, longestSeconds: undefined, wasted: 0 }])
})

it('is never negative, whatever the clocks of nodes say', () => {
  const { meter, told } = meterOf({ sentAt: 2_000, silentSince: 2_000 })
  speak(meter, [1_500])
  expect(told).toMatchObject({ first: [0], pause: [0] })
})

it('has the mean and the greatest of the gaps', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 1, maxLength: 50 }), (gaps) => {
      const { meter, told } = meterOf()
      let time = 1_000
      speak(meter, [time, ...gaps.map((gap) => (time += gap))])
      meter.done(gaps.length + 1, false)
      const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length / 1000
      expect(told.pace[0]?.secondsPerToken).toBeCloseTo(mean)
      expect(told.pace[0]?.longestSeconds).toBe(Math.max(...gaps) / 1000)
    }),
  )
})
