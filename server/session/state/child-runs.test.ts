// Child runs in the state: which of them exist, when they may start, and the order of ends in any log.
import type { Event } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ScriptedLog, STEP_KINDS, type Step } from '../test/scripted-log.ts'
import { applyEntries } from './apply-entry.ts'
import { type ChildRun, levelOf, mayStart, openBelow, runsBelow, topRun } from './child-runs.ts'
import { impliedEnds } from './implied-ends.ts'
import { EMPTY_SESSION, findRun, type SessionState } from './session-state.ts'

const usage = { inputTokens: 0, outputTokens: 0 }
const message: Event = {
  type: 'message',
  id: 'm',
  role: 'user',
  author: 'ada',
  content: [],
  policy: 'queue',
  run: 'lead',
}
const started = (run: string, epoch = 1): Event => {
  return { type: 'run.started', run, epoch, mode: epoch === 1 ? 'new' : 'continue', model: 'm', message: 'm', next: 0 }
}
const snapshot = (run: string): Event => ({ type: 'run.snapshot', run, epoch: 1, next: 0, output: [] })
const asks = (run: string, call: string, child: string, epoch = 1): Event => ({
  type: 'tool.called',
  run,
  call,
  name: 'ask_a',
  input: { message: call },
  where: 'server',
  approval: false,
  attempt: 1,
  until: 0,
  step: 0,
  epoch,
  child: { run: child, agent: 'a' },
})
const ended = (run: string): Event => ({ type: 'run.ended', run, reason: 'cancelled', by: 'ada', usage, next: 0 })

function stateOf(...events: readonly Event[]): SessionState {
  const entries = events.map((event, at) => ({ seq: at + 1, time: at, event }))
  return applyEntries(EMPTY_SESSION, entries)
}
const child = (state: SessionState, run: string): ChildRun => findRun(state, run) as ChildRun

describe('a child run', () => {
  it('exists with its call, and may start after the next entry of its parent', () => {
    const asked = stateOf(message, started('lead'), asks('lead', 'c1', 'one'))
    expect(asked.children).toMatchObject([
      { id: 'one', parent: { run: 'lead', call: 'c1' }, agent: 'a', message: 'c1' },
    ])
    expect(asked.open.map(({ id }) => id)).toEqual(['lead'])
    expect(mayStart(asked, child(asked, 'one'))).toBe(false)
    const begun = stateOf(message, started('lead'), asks('lead', 'c1', 'one'), started('lead', 2))
    expect(mayStart(begun, child(begun, 'one'))).toBe(true)
  })

  it('does not exist for a call of a replaced driver', () => {
    expect(stateOf(message, started('lead', 2), asks('lead', 'c1', 'one')).children).toEqual([])
    // The start that precedes the call is known only from the later, compacted end.
    const late: Event = { ...snapshot('lead'), epoch: 2 } as Event
    expect(stateOf(message, started('lead'), asks('lead', 'c1', 'one'), late).children).toEqual([])
  })

  it('is found from its own entries alone', () => {
    const parent = { run: 'lead', call: 'c1' }
    const own = stateOf({ ...started('one'), parent, agent: 'a', message: 'c1' } as Event)
    expect(own.children).toMatchObject([{ id: 'one', parent, agent: 'a', phase: 'running' }])
    const over = stateOf({ ...ended('one'), parent, agent: 'a', message: 'c1' } as Event)
    expect(findRun(over, 'one')).toMatchObject({ parent, agent: 'a', phase: 'ended' })
  })

  it('ends by implication when its parent has ended, or has its answer', () => {
    const before = [message, started('lead'), asks('lead', 'c1', 'one'), snapshot('lead')]
    expect(impliedEnds(stateOf(...before))).toEqual([])
    expect(impliedEnds(stateOf(...before, ended('lead')))).toMatchObject([
      { run: { id: 'one' }, end: { reason: 'cancelled', by: 'ada' } },
    ])
    const result: Event = { type: 'tool.result', run: 'lead', call: 'c1', error: 'no', by: 'server' }
    expect(impliedEnds(stateOf(...before, result))).toMatchObject([
      { run: { id: 'one' }, end: { reason: 'cancelled', by: 'server' } },
    ])
  })

  it('has its place below the run of the message', () => {
    const nested = [asks('lead', 'c1', 'one'), snapshot('lead'), started('one'), asks('one', 'c2', 'two')]
    const state = stateOf(message, started('lead'), ...nested)
    expect(topRun(state, child(state, 'two')).id).toBe('lead')
    expect(levelOf(state, child(state, 'two'))).toBe(2)
    expect(openBelow(state, 'lead').map(({ id }) => id)).toEqual(['one', 'two'])
    const over = stateOf(message, started('lead'), ...nested, ended('two'), ended('one'))
    expect(openBelow(over, 'lead')).toEqual([])
    expect(runsBelow(over, 'lead').map(({ id }) => id)).toEqual(['one', 'two'])
  })
})

it('in any log, ends of children come before the ends of their parents, and nothing of a child follows', () => {
  const kinds = fc.constantFrom(...STEP_KINDS, 'message', 'message', 'delegate', 'child', 'child', 'child', 'child')
  const steps = fc.array(fc.record({ kind: kinds, pick: fc.nat(50) }), { maxLength: 60 }) as fc.Arbitrary<Step[]>
  let spoken = 0
  fc.assert(
    fc.property(steps, (script) => {
      const log = new ScriptedLog()
      const first: Step[] = [
        { kind: 'message', pick: 0 },
        { kind: 'child', pick: 0 },
      ]
      for (const step of [...first, ...script]) log.apply(step)
      const over = new Set<string>()
      for (const { event } of log.entries) {
        if (event.type === 'run.ended') over.add(event.run)
        if (event.type !== 'run.output') continue
        const run = findRun(log.state, event.run)
        if (run?.parent === undefined) continue
        spoken += 1
        expect(over.has(run.parent.run)).toBe(false)
      }
      for (const run of log.state.children) expect(over.has(run.parent?.run ?? '')).toBe(false)
    }),
    { numRuns: 200 },
  )
  expect(spoken).toBeGreaterThanOrEqual(200)
})
