// The entries that compaction leaves for new readers. state/apply-entry.test.ts shows that they give the same state as
// the log.
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

function compacted(...events: readonly Event[]): Event[] {
  const entries = events.map((event, at) => ({ seq: at + 1, time: at, event }))
  const once = compact([], entries)
  expect(compact(once, [])).toEqual(once)
  return once.map(({ json }) => JSON.parse(json) as Event)
}

describe('a compacted run', () => {
  it('starts at index 0 if all of its output follows the start', () => {
    // The start of a second attempt named an index although its earlier outputs came only with the end: readers saw a
    // gap.
    const all = [started(1, 'new', 0), output(0), output(1), started(2, 'continue', 2), output(2)]
    expect(compacted(...all, ended(3))).toMatchObject([
      { type: 'run.started', epoch: 2, mode: 'continue', next: 0 },
      { type: 'run.ended', next: 3, output: [{ text: 'xxx', index: 0 }] },
    ])
    expect(compacted(...all)).toMatchObject([
      { type: 'run.started', epoch: 2, mode: 'continue', next: 0 },
      { type: 'run.snapshot', next: 3, output: [{ text: 'xxx', index: 0 }] },
    ])
  })

  it('starts at its next index if its output precedes the start', () => {
    expect(compacted(started(1, 'new', 0), output(0), output(1), started(2, 'continue', 2))).toMatchObject([
      // The snapshot of the first attempt; the second one starts after it.
      { type: 'run.snapshot', epoch: 1, next: 2 },
      { type: 'run.started', epoch: 2, mode: 'continue', next: 2 },
    ])
  })

  it('keeps the next index when it restarts without output', () => {
    expect(compacted(started(1, 'new', 0), output(0), output(1), started(2, 'restart', 2))).toMatchObject([
      { type: 'run.started', epoch: 2, mode: 'continue', next: 2 },
    ])
  })

  it('drops a call that a replaced driver appended after the end', () => {
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
    expect(compacted(end, { ...late, epoch: 1 }).map(({ type }) => type)).toEqual(['run.ended'])
    expect(compacted(end, { ...late, epoch: 2 }).map(({ type }) => type)).toEqual(['run.ended', 'tool.called'])
  })
})

it('drops the tools of a user who left, but not those of the same user’s return', () => {
  const declared = (name: string, by: string): Event => ({ type: 'session.updated', tools: [{ name, by }] })
  const left: Event = { type: 'member.left', user: 'eve', by: 'ada' }
  const tools = (...events: readonly Event[]) =>
    compacted(...events).flatMap((event) => (event.type === 'session.updated' ? (event.tools ?? []) : []))
  const before = [declared('a', 'eve'), declared('b', 'ada'), left]
  expect(tools(...before)).toEqual([{ name: 'b', by: 'ada' }])
  expect(tools(...before, declared('c', 'eve'))).toEqual([
    { name: 'b', by: 'ada' },
    { name: 'c', by: 'eve' },
  ])
})

it('keeps all deleted responses, also beside later settings and departures', () => {
  const update = (fields: object): Event => ({ type: 'session.updated', ...fields })
  const events = compacted(
    update({ deletedResponses: ['r1'] }),
    update({ title: 'Plans', deletedResponses: ['r2', 'r1'] }),
    update({ tools: [{ name: 'a', by: 'eve' }] }),
    { type: 'member.left', user: 'eve', by: 'ada' },
  )
  expect(events.filter(({ type }) => type === 'session.updated')).toEqual([
    update({ title: 'Plans', deletedResponses: ['r1', 'r2'] }),
  ])
})
