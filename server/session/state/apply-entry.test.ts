// The reducer of a session: all readers arrive at the same state, however they got the entries.
import type { Event } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ScriptedLog, STEP_KINDS, type Step } from '../test/scripted-log.ts'
import { visibleState } from '../test/visible-state.ts'
import { compact } from '../transcript/compact.ts'
import { mergeOutputs, type ProjectedEntry, projectLive } from '../transcript/entry-projection.ts'
import { applyEntries, applyEntry, parseEntry } from './apply-entry.ts'
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

function applyProjected(state: SessionState, entries: readonly ProjectedEntry[]): SessionState {
  return applyEntries(state, entries.map(parseEntry))
}

describe('the reducer', () => {
  it('ignores events of a newer server', () => {
    const event = { type: 'tool.dreamt', run: 'r', call: 'c' } as unknown as Event
    expect(applyEntry(EMPTY_SESSION, { seq: 7, time: 1, event })).toEqual({ ...EMPTY_SESSION, seq: 7 })
  })

  // After the session was opened again, the reducer did not know the late steer's run until it read the end that
  // compaction had moved behind it. So that run was started or ended a second time.
  it('keeps a late steer ended although the end of the steered run follows later', () => {
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
      const state = read.reduce((before, entry) => applyEntry(before, entry), EMPTY_SESSION)
      expect(state.open.map((run) => run.id)).toEqual(['run_3'])
      expect(state.ended.get('steer_m_2')?.ended?.command).toBe('m_3')
    }
    // The late steer's run has not ended yet, so the later interrupt supersedes it.
    const state = entries
      .filter(({ seq }) => seq !== 2 && seq !== 5)
      .reduce((before, entry) => applyEntry(before, entry), EMPTY_SESSION)
    expect(state.open.map((run) => [run.id, run.supersededBy])).toEqual([
      ['steer_m_2', 'm_3'],
      ['run_3', undefined],
    ])
  })

  it('gives the same state after any number of resumes and compactions', () => {
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
          reader = applyProjected(reader, read)
          position = read.at(-1)?.seq ?? position
        }
        expect(visibleState(reader)).toEqual(visibleState(log.state))
      }),
    )
  })

  it('gives the same state to a live reader', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const log = scripted(script)
        const live = log.entries.flatMap((entry) => [...projectLive([entry])])
        expect(visibleState(applyProjected(EMPTY_SESSION, live))).toEqual(visibleState(log.state))
      }),
    )
  })

  it('gives the same state from a transcript and the tail, compacted once or twice', () => {
    fc.assert(
      fc.property(steps, fc.nat(80), fc.nat(80), (script, first, second) => {
        const log = scripted(script)
        const [one, two] = [first, second].map((at) => log.entries[at]?.seq ?? 0).sort((a, b) => a - b) as [
          number,
          number,
        ]
        const once = compact([], log.read(0, one))
        const twice = compact(once, log.read(one, two))
        const state = applyProjected(applyProjected(EMPTY_SESSION, twice), log.read(two, Number.MAX_SAFE_INTEGER))
        expect(visibleState(state)).toEqual(visibleState(log.state))
      }),
    )
  })

  it('gives the same states one by one and in batches, which leave the states before them unchanged', () => {
    fc.assert(
      fc.property(steps, fc.nat(80), (script, cut) => {
        const { entries, state } = scripted(script)
        const before = applyEntries(EMPTY_SESSION, entries.slice(0, cut))
        const copy = structuredClone(before)
        const after = applyEntries(before, entries.slice(cut))
        expect(visibleState(after)).toEqual(visibleState(state))
        expect(structuredClone(before)).toEqual(copy)
      }),
    )
  })

  it('gives the same text with fewer outputs if outputs are merged', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const log = scripted(script)
        const entries = log.read(0, Number.MAX_SAFE_INTEGER)
        const merged = mergeOutputs(entries)
        expect(merged.length).toBeLessThanOrEqual(entries.length)
        expect(textOf(merged)).toEqual(textOf(entries))
      }),
    )
  })
})

function textOf(entries: readonly ProjectedEntry[]): unknown {
  const texts = new Map<string, string>()
  for (const { json } of entries) {
    const event = JSON.parse(json)
    if (event.type === 'run.started' && event.mode === 'restart') texts.set(event.run, '')
    if (event.type === 'run.output') texts.set(event.run, (texts.get(event.run) ?? '') + event.text)
  }
  return [...texts]
}

describe('a session', () => {
  it('has one active run; the others are queued in the order of their messages', () => {
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

  it('gives a late steering message a run of its own', () => {
    const log = scripted([
      { kind: 'message', pick: 1 },
      { kind: 'output', pick: 1 },
      { kind: 'steer', pick: 1 },
      { kind: 'complete', pick: 1 },
    ])
    expect(log.state.open.map((run) => [run.id, run.message, run.phase])).toEqual([['steer_m_3', 'm_3', 'queued']])
  })

  it('keeps a steering message in the run whose model received it', () => {
    const log = scripted([
      { kind: 'message', pick: 1 },
      { kind: 'output', pick: 1 },
      { kind: 'steer', pick: 1 },
      { kind: 'snapshot', pick: 2 },
      { kind: 'complete', pick: 1 },
    ])
    expect(log.state.open).toEqual([])
  })

  it('ignores a call that a replaced driver appended', () => {
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
