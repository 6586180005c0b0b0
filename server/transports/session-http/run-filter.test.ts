// RunFilter: selects the entries of a run in every stored form.
import type { Event } from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import { describe, expect, it } from 'vitest'
import { RunFilter } from './run-filter.ts'

const message = (id: string, run: string): Event => ({
  type: 'message',
  id,
  role: 'user',
  author: 'ada',
  content: [{ type: 'text', text: '"run":"mine"' }],
  policy: 'steer',
  run,
})
const usage = { inputTokens: 0, outputTokens: 0 }
const ended = (run: string): Event => ({ type: 'run.ended', run, reason: 'completed', usage, next: 1 })

function kept(run: string, events: readonly (Event | string)[]): readonly boolean[] {
  const filter = new RunFilter(run)
  return events.map((event, seq) => {
    return filter.keep({ seq, time: 0, json: typeof event === 'string' ? event : JSON.stringify(event) })
  })
}

describe('a run filter', () => {
  it('keeps messages, outputs, calls and the end of its run, and nothing after', () => {
    const output = (run: string, text: string): Event => ({ type: 'run.output', run, index: 0, kind: 'text', text })
    const events: readonly (Event | string)[] = [
      message('a', 'mine'),
      message('b', 'other'),
      output('mine', 'x'),
      output('other', '"run":"mine"'),
      // The fields are in another order.
      '{"type":"tool.decided","call":"c","run":"mine","decision":"deny","by":"ada"}',
      '{"type":"tool.decided","call":"c","run":"other","decision":"deny","by":"mine"}',
      { type: 'session.updated', title: 'mine' },
      ended('other'),
      ended('mine'),
      output('mine', 'x'),
      ended('mine'),
    ]
    expect(kept('mine', events)).toEqual([true, false, true, false, true, false, false, false, true, false, false])
  })

  it('keeps the message of a run that was started by a late steering message', () => {
    expect(kept(lateSteerRun('m'), [message('m', 'first'), message('n', 'first')])).toEqual([true, false])
  })
})

describe('a run filter with child runs', () => {
  const called = (run: string, child: string): Event => ({
    type: 'tool.called',
    run,
    call: `call_${child}`,
    name: 'ask_a',
    input: {},
    where: 'server',
    approval: false,
    attempt: 1,
    until: 0,
    step: 0,
    child: { run: child, agent: 'a' },
  })
  const output = (run: string): Event => ({ type: 'run.output', run, index: 0, kind: 'text', text: 'x' })

  it('keeps those that exist and those that begin, at all levels, until the run has ended', () => {
    const filter = new RunFilter('mine', ['old'])
    const events = [output('old'), output('new'), called('mine', 'new'), output('new'), called('new', 'deep')]
    const more = [
      output('deep'),
      called('other', 'foreign'),
      output('foreign'),
      ended('new'),
      ended('mine'),
      output('deep'),
    ]
    const all = [...events, ...more].map((event) => filter.keep({ seq: 1, time: 0, json: JSON.stringify(event) }))
    expect(all).toEqual([true, false, true, true, true, true, false, false, true, true, false])
    expect(kept('mine', [called('mine', 'new'), output('new')])).toEqual([true, false])
  })
})
