// The fold of a session: whatever way a reader came by the entries, he ends with the same session.
import type { Event } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { essence, ScriptedLog, STEP_KINDS, type Step } from '../test/scripted-log.ts'
import { compact } from '../transcript/compact.ts'
import { merged, type Shown, shownLive } from '../transcript/entry-projection.ts'
import { fold } from './apply-entry.ts'
import { EMPTY_SESSION, findCall, type SessionState } from './session-state.ts'

const steps = fc.array(
  fc.record({ kind: fc.constantFrom(...STEP_KINDS, 'output', 'output', 'output'), pick: fc.nat(50) }),
  { maxLength: 60 },
) as fc.Arbitrary<Step[]>

function scripted(script: readonly Step[]): ScriptedLog {
  const log = new ScriptedLog()
  for (const step of script) log.apply(step)
  return log
}

function foldShown(state: SessionState, shown: readonly Shown[]): SessionState {
  return shown.reduce((folded, { seq, time, json }) => fold(folded, { seq, time, event: JSON.parse(json) }), state)
}

describe('a session folded', () => {
  // Its run was begun again, or ended again, after the session was opened anew: the fold knew nothing of it until the
  // end that had moved behind it.
  it('holds a late steer for ended, though the end of the run that it was sent to comes after its own', () => {
    const usage = { inputTokens: 0, outputTokens: 0 }
    const message = (id: string, run: string, policy: 'queue' | 'steer' | 'interrupt'): Event => {
      return { type: 'message', id, role: 'user', author: 'ada', content: [], policy, run }
    }
    const log: Event[] = [
      message('m_1', 'run_1', 'queue'),
      { type: 'run.ended', run: 'run_1', reason: 'cancelled', command: 'c_1', usage, next: 1 },
      message('m_2', 'run_1', 'steer'),
      message('m_3', 'run_3', 'interrupt'),
      { type: 'run.ended', run: 'steer_m_2', reason: 'superseded', command: 'm_3', usage, next: 0 },
      {
        type: 'run.ended',
        run: 'run_1',
        reason: 'cancelled',
        command: 'c_1',
        usage,
        next: 1,
        output: [],
        compacted: true,
        at: 2,
      },
    ]
    const entries = log.map((event, at) => ({ seq: at + 1, time: at, event }))
    for (const read of [entries, entries.filter(({ seq }) => seq !== 2)]) {
      const state = read.reduce(fold, EMPTY_SESSION)
      expect(state.open.map((run) => run.id)).toEqual(['run_3'])
      expect(state.ended.get('steer_m_2')?.ended?.command).toBe('m_3')
    }
    // Not ended yet: the interrupt that came after it holds for it.
    const state = entries.filter(({ seq }) => seq !== 2 && seq !== 5).reduce(fold, EMPTY_SESSION)
    expect(state.open.map((run) => [run.id, run.supersededBy])).toEqual([
      ['steer_m_2', 'm_3'],
      ['run_3', undefined],
    ])
  })

  it('is the same through any number of resumes, however the log was rolled up meanwhile', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.nat(80), { maxLength: 5 }), (script, stops) => {
        const log = scripted(script)
        const heads = [...stops.map((stop) => log.entries[stop]?.seq ?? 0), log.entries.at(-1)?.seq ?? 0].sort(
          (a, b) => a - b,
        )
        let reader = EMPTY_SESSION
        let position = 0
        for (const head of heads) {
          const read = log.read(position, head)
          reader = foldShown(reader, read)
          position = read.at(-1)?.seq ?? position
        }
        expect(essence(reader)).toEqual(essence(log.state))
      }),
    )
  })

  it('is the same for a reader who was live all the time', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const log = scripted(script)
        const shown = log.entries.flatMap((entry) => [...shownLive([entry])])
        expect(essence(foldShown(EMPTY_SESSION, shown))).toEqual(essence(log.state))
      }),
    )
  })

  it('is the same from a transcript and the rest, folded once or twice', () => {
    fc.assert(
      fc.property(steps, fc.nat(80), fc.nat(80), (script, first, second) => {
        const log = scripted(script)
        const [one, two] = [first, second].map((at) => log.entries[at]?.seq ?? 0).sort((a, b) => a - b) as [
          number,
          number,
        ]
        const once = compact([], log.read(0, one))
        const twice = compact(once, log.read(one, two))
        const state = foldShown(foldShown(EMPTY_SESSION, twice), log.read(two, Number.MAX_SAFE_INTEGER))
        expect(essence(state)).toEqual(essence(log.state))
      }),
    )
  })

  it('gives a merging reader the same text with fewer outputs', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const log = scripted(script)
        const shown = log.read(0, Number.MAX_SAFE_INTEGER)
        const few = merged(shown)
        expect(few.length).toBeLessThanOrEqual(shown.length)
        expect(textOf(few)).toEqual(textOf(shown))
      }),
    )
  })
})

function textOf(shown: readonly Shown[]): unknown {
  const texts = new Map<string, string>()
  for (const { json } of shown) {
    const event = JSON.parse(json)
    if (event.type === 'run.started' && event.mode === 'restart') texts.set(event.run, '')
    if (event.type === 'run.output') texts.set(event.run, (texts.get(event.run) ?? '') + event.text)
  }
  return [...texts]
}

describe('a session', () => {
  it('has one active run: the others wait in the order of their messages', () => {
    const log = scripted([
      { kind: 'message', pick: 1 },
      { kind: 'output', pick: 1 },
      { kind: 'message', pick: 1 },
    ])
    expect(log.state.open.map((run) => [run.id, run.phase])).toEqual([
      ['run_1', 'running'],
      ['run_3', 'queued'],
    ])
  })

  it('gives a steering message that came too late a run of its own', () => {
    const log = scripted([
      { kind: 'message', pick: 1 },
      { kind: 'output', pick: 1 },
      { kind: 'steer', pick: 1 },
      { kind: 'complete', pick: 1 },
    ])
    expect(log.state.open.map((run) => [run.id, run.message, run.phase])).toEqual([['steer_m_3', 'm_3', 'queued']])
  })

  it('keeps a steering message with the run that took it', () => {
    const log = scripted([
      { kind: 'message', pick: 1 },
      { kind: 'output', pick: 1 },
      { kind: 'steer', pick: 1 },
      { kind: 'snapshot', pick: 2 },
      { kind: 'complete', pick: 1 },
    ])
    expect(log.state.open).toEqual([])
  })

  it('has no call of an owner that was replaced before it was written, and lets nobody claim it', () => {
    const log = scripted([
      { kind: 'message', pick: 1 },
      { kind: 'call', pick: 1 },
      { kind: 'continue', pick: 1 },
      { kind: 'late', pick: 1 },
      { kind: 'call', pick: 1 },
    ])
    expect([...(log.state.open[0]?.calls.keys() ?? [])]).toEqual(['call_2', 'call_5'])
    expect(findCall(log.state, 'call_4')).toBeUndefined()
  })
})
