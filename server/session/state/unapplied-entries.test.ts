// UnappliedEntries: applying entries later gives the same state as applying them one by one.
import type { Event } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Entry } from '../../store/ports/entry.ts'
import { applyEntry } from './apply-entry.ts'
import { toParts } from './run-output.ts'
import { EMPTY_SESSION, type SessionState } from './session-state.ts'
import { UnappliedEntries } from './unapplied-entries.ts'

const RUNS = ['a', 'b']

const start: readonly Event[] = RUNS.flatMap((run): Event[] => [
  { type: 'message', id: `m_${run}`, role: 'user', author: 'ann', content: [], policy: 'queue', run },
  { type: 'run.started', run, epoch: 1, mode: 'new', model: 'demo', message: `m_${run}`, next: 0, owner: 'n' },
])

const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ run: fc.constantFrom(...RUNS), kind: fc.constantFrom('text', 'reasoning') }) },
  { weight: 1, arbitrary: fc.constant('title' as const) },
  { weight: 1, arbitrary: fc.constant('apply' as const) },
  { weight: 1, arbitrary: fc.constant('end' as const) },
)

/** The state with its output in parts: equal outputs may differ in their nodes. */
function comparable(state: SessionState): unknown {
  const runs = [...state.open, ...state.ended.values()].map((run) => ({ ...run, output: toParts(run.output) }))
  return { ...state, open: undefined, ended: undefined, runs }
}

describe('unapplied entries', () => {
  it('give the same state whenever they are applied', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const unapplied = new UnappliedEntries()
        let expected = EMPTY_SESSION
        let state = EMPTY_SESSION
        let seq = 0
        const next: Record<string, number> = { a: 0, b: 0 }
        const add = (event: Event): void => {
          seq += 1
          const fields = { seq, prev: 0, subject: 's', time: seq, rollup: false }
          unapplied.add(new Entry({ ...fields, json: JSON.stringify(event) }))
          expected = applyEntry(expected, { seq, time: seq, event })
        }
        for (const event of start) add(event)
        for (const item of steps) {
          if (item === 'apply') state = unapplied.applyTo(state)
          else if (item === 'title') add({ type: 'session.updated', title: `${seq}` })
          else if (item === 'end') {
            const usage = { inputTokens: 0, outputTokens: 0 }
            add({ type: 'run.ended', run: 'b', reason: 'completed', usage, next: next.b ?? 0 })
          } else {
            const index = next[item.run] ?? 0
            next[item.run] = index + 1
            const kind = item.kind === 'text' ? 'text' : 'reasoning'
            add({ type: 'run.output', run: item.run, index, kind, text: `${item.run}${index} ` })
          }
        }
        state = unapplied.applyTo(state)
        expect(unapplied.length).toBe(0)
        expect(comparable(state)).toEqual(comparable(expected))
      }),
    )
  })

  it('only remember that entries exist after a deletion', () => {
    const unapplied = new UnappliedEntries()
    const deletion: Event = { type: 'session.deleted', by: 'ann', command: 'd' }
    const output = (index: number): Event => ({ type: 'run.output', run: 'a', index, kind: 'text', text: 'secret' })
    for (const [at, event] of [...start, output(0), deletion, output(1), output(2)].entries()) {
      unapplied.add(
        new Entry({ seq: at + 1, prev: 0, subject: 's', time: at, rollup: false, json: JSON.stringify(event) }),
      )
    }
    const state = unapplied.applyTo(EMPTY_SESSION)
    expect(state).toMatchObject({ seq: 8, messages: [], deleted: { seq: 6, hasLateEntries: true } })
    expect(JSON.stringify([...state.ended])).not.toContain('secret')
  })
})
