// What a session has read and not folded: whenever it is folded, the state is the one that folding one by one gives.
import type { Event } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Entry } from '../../store/ports/entry.ts'
import { fold } from './apply-entry.ts'
import { toParts } from './run-output.ts'
import { EMPTY_SESSION, type SessionState } from './session-state.ts'
import { UnappliedEntries } from './unapplied-entries.ts'

const RUNS = ['a', 'b']

const begin: readonly Event[] = RUNS.flatMap((run): Event[] => [
  { type: 'message', id: `m_${run}`, role: 'user', author: 'ann', content: [], policy: 'queue', run },
  { type: 'run.started', run, epoch: 1, mode: 'new', model: 'demo', message: `m_${run}`, next: 0, owner: 'n' },
])

const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ run: fc.constantFrom(...RUNS), kind: fc.constantFrom('text', 'reasoning') }) },
  { weight: 1, arbitrary: fc.constant('title' as const) },
  { weight: 1, arbitrary: fc.constant('fold' as const) },
  { weight: 1, arbitrary: fc.constant('end' as const) },
)

/** As it is seen: parts of equal outputs may be held in other pieces. */
function seen(state: SessionState): unknown {
  const runs = [...state.open, ...state.ended.values()].map((run) => ({ ...run, output: toParts(run.output) }))
  return { ...state, open: undefined, ended: undefined, runs }
}

describe('what is not folded yet', () => {
  it('gives the same state, whenever it is folded', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const unfolded = new UnappliedEntries()
        let expected = EMPTY_SESSION
        let state = EMPTY_SESSION
        let seq = 0
        const next: Record<string, number> = { a: 0, b: 0 }
        const add = (event: Event): void => {
          seq += 1
          const about = { seq, prev: 0, subject: 's', time: seq, rollup: false }
          unfolded.add(new Entry({ ...about, json: JSON.stringify(event) }))
          expected = fold(expected, { seq, time: seq, event })
        }
        for (const event of begin) add(event)
        for (const item of steps) {
          if (item === 'fold') state = unfolded.foldInto(state)
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
        state = unfolded.foldInto(state)
        expect(unfolded.length).toBe(0)
        expect(seen(state)).toEqual(seen(expected))
      }),
    )
  })

  it('knows of what comes after a deletion only that something did', () => {
    const unfolded = new UnappliedEntries()
    const gone: Event = { type: 'session.deleted', by: 'ann', command: 'd' }
    const output = (index: number): Event => ({ type: 'run.output', run: 'a', index, kind: 'text', text: 'secret' })
    for (const [at, event] of [...begin, output(0), gone, output(1), output(2)].entries()) {
      unfolded.add(
        new Entry({ seq: at + 1, prev: 0, subject: 's', time: at, rollup: false, json: JSON.stringify(event) }),
      )
    }
    const state = unfolded.foldInto(EMPTY_SESSION)
    expect(state).toMatchObject({ seq: 8, messages: [], deleted: { seq: 6, late: true } })
    expect(JSON.stringify([...state.ended])).not.toContain('secret')
  })
})
