// What a fold says to readers who start from nothing; that it says the same as the log is in session-state.test.ts.
import type { Event } from '@parley/protocol'
import { describe, expect, it } from 'vitest'
import { compact } from './compact.ts'

const run = 'run_1'
const output = (index: number): Event => ({ type: 'run.output', run, index, kind: 'text', text: 'x' })
const started = (epoch: number, mode: 'new' | 'continue' | 'restart', next: number): Event => {
  return { type: 'run.started', run, epoch, mode, model: 'demo', message: 'c_1', next }
}
const ended = (next: number): Event => {
  return { type: 'run.ended', run, reason: 'completed', usage: { inputTokens: 0, outputTokens: 0 }, next }
}

function folded(...events: readonly Event[]): Event[] {
  const entries = events.map((event, place) => ({ seq: place + 1, time: place, event }))
  const once = compact([], entries)
  expect(compact(once, [])).toEqual(once)
  return once.map(({ json }) => JSON.parse(json) as Event)
}

describe('a folded run', () => {
  it('starts from the first index where all of its output stands behind the start', () => {
    // A new owner's start told of outputs that only the end brought: to who counts, a gap.
    const all = [started(1, 'new', 0), output(0), output(1), started(2, 'continue', 2), output(2)]
    expect(folded(...all, ended(3))).toMatchObject([
      { type: 'run.started', epoch: 2, mode: 'continue', next: 0 },
      { type: 'run.ended', next: 3, output: [{ text: 'xxx', index: 0 }] },
    ])
    expect(folded(...all)).toMatchObject([
      { type: 'run.started', epoch: 2, mode: 'continue', next: 0 },
      { type: 'run.snapshot', next: 3, output: [{ text: 'xxx', index: 0 }] },
    ])
  })

  it('starts where it goes on when its output stands before the start', () => {
    expect(folded(started(1, 'new', 0), output(0), output(1), started(2, 'continue', 2))).toMatchObject([
      // As its owner had it; the new one begins after it.
      { type: 'run.snapshot', epoch: 1, next: 2 },
      { type: 'run.started', epoch: 2, mode: 'continue', next: 2 },
    ])
  })

  it('that begins again with nothing says which index comes next', () => {
    expect(folded(started(1, 'new', 0), output(0), output(1), started(2, 'restart', 2))).toMatchObject([
      { type: 'run.started', epoch: 2, mode: 'continue', next: 2 },
    ])
  })

  it('has no call of an owner that had been replaced, though it was written after the end', () => {
    const end = { ...ended(2), epoch: 2, output: [] } as Event
    const late = {
      type: 'tool.called' as const,
      run,
      call: 'call_1',
      name: 'work',
      input: {},
      where: 'server' as const,
      approval: false,
      attempt: 1,
      until: 0,
      step: 0,
    }
    expect(folded(end, { ...late, epoch: 1 }).map(({ type }) => type)).toEqual(['run.ended'])
    expect(folded(end, { ...late, epoch: 2 }).map(({ type }) => type)).toEqual(['run.ended', 'tool.called'])
  })
})
