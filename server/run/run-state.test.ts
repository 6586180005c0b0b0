// The driver's state: in any order of tokens and completed appends, the log gets the model's output once, in order, with
// continuous indexes.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toParts } from '../session/state/run-output.ts'
import * as Run from './run-state.ts'

type Op = { op: 'text' | 'reasoning' | 'call' | 'take' | 'ack' | 'fail' | 'step'; n: number }

const ops = fc.array(
  fc.record({
    op: fc.constantFrom<Op['op']>(
      'text',
      'text',
      'text',
      'reasoning',
      'call',
      'take',
      'take',
      'ack',
      'ack',
      'fail',
      'step',
    ),
    n: fc.nat(9),
  }),
  { maxLength: 120 },
)

function begun(): Run.RunState {
  const state = Run.beginRun(
    { run: 'run_1', epoch: 1, model: 'm', message: 'm_1', owner: 'node-a' },
    { last: 0, next: 0, output: undefined, step: 0 },
  )
  return Run.started(state, 1, 1_000, undefined)
}

function takeAppend(state: Run.RunState): { state: Run.RunState; append: Run.RunAppend } | undefined {
  const taken = Run.take(state)
  const append = taken === state ? undefined : Run.inFlight(taken)
  return append === undefined ? undefined : { state: taken, append }
}

/** Plays a script against a log that accepts or refuses appends, and then accepts everything. */
function play(script: readonly Op[]): { received: string[]; stored: Run.RunAppend[]; state: Run.RunState } {
  let state = begun()
  let seq = 1
  const received: string[] = []
  const stored: Run.RunAppend[] = []
  let inFlight: Run.RunAppend | undefined
  const take = (): void => {
    const next = takeAppend(state)
    if (next === undefined) return
    expect(inFlight).toBeUndefined()
    state = next.state
    inFlight = next.append
  }
  const acknowledge = (): void => {
    if (inFlight === undefined) return
    seq += 1
    stored.push(inFlight)
    inFlight = undefined
    state = Run.appended(state, seq)
  }
  for (const [at, { op, n }] of script.entries()) {
    if (op === 'text' || op === 'reasoning') {
      received.push(`${op}:${at}`)
      state = Run.received(state, op, `<${at}>`)
    } else if (op === 'call') {
      received.push(`call:${at}`)
      state = Run.called(state, {
        type: 'call',
        call: `call_${at}`,
        name: 't',
        input: {},
        where: 'client',
        approval: false,
        until: 0,
      })
    } else if (op === 'step') {
      state = Run.nextStep(state, n % 2 === 0 ? [`m_${at}`] : [])
    } else if (op === 'take') take()
    else if (op === 'ack') acknowledge()
    else if (inFlight !== undefined) {
      inFlight = undefined
      state = Run.putBack(state)
    }
  }
  state = Run.ending(state, { reason: 'completed' })
  for (let guard = 0; state.phase !== 'ended' && guard < 1_000; guard += 1) {
    acknowledge()
    take()
  }
  return { received, stored, state }
}

describe('the state of a run', () => {
  it('appends the model’s output once, in order, with continuous indexes', () => {
    fc.assert(
      fc.property(ops, (script) => {
        const { received, stored, state } = play(script)
        expect(state.phase).toBe('ended')
        const outputs = stored.flatMap(({ event }) => (event.type === 'run.output' ? [event] : []))
        expect(outputs.map((output) => output.index)).toEqual(outputs.map((_, index) => index))
        const appended = stored.flatMap(({ event }) => {
          if (event.type === 'tool.called') return [`call:${event.call.slice(5)}`]
          if (event.type !== 'run.output') return []
          return [...event.text.matchAll(/<(\d+)>/g)].map((match) => `${event.kind}:${match[1]}`)
        })
        expect(appended).toEqual(received)
      }),
    )
  })

  it('ends with the whole output, and expects the last entry of its subject at each append', () => {
    fc.assert(
      fc.property(ops, (script) => {
        const { stored } = play(script)
        const ended = stored.at(-1)?.event
        if (ended?.type !== 'run.ended') throw new Error('the last append is not the end')
        const outputs = stored.flatMap(({ event }) => (event.type === 'run.output' ? [event.text] : []))
        const whole = (ended.output ?? []).flatMap((part) => ('text' in part ? [part.text] : [])).join('')
        expect(whole).toBe(outputs.join(''))
        expect(ended.next).toBe(outputs.length)
        let last = 1
        let seq = 1
        for (const { call, expect: expected } of stored) {
          seq += 1
          if (call !== undefined) continue
          expect(expected).toBe(last)
          last = seq
        }
      }),
    )
  })

  it('compacts into a snapshot after many entries', () => {
    let state = begun()
    let seq = 1
    let snapshots = 0
    for (let at = 0; at < 3 * Run.SNAPSHOT_ENTRIES; at += 1) {
      state = Run.received(state, 'text', `${at} `)
      for (let next = takeAppend(state); next !== undefined; next = takeAppend(state)) {
        if (next.append.event.type === 'run.snapshot') snapshots += 1
        seq += 1
        state = Run.appended(next.state, seq)
      }
    }
    expect(snapshots).toBe(2)
    expect(toParts(state.output)).toHaveLength(1)
  })

  it('appends nothing after it was fenced', () => {
    const state = Run.fenced(Run.received(begun(), 'text', 'too late'))
    expect(takeAppend(state)).toBeUndefined()
  })

  it('joins text that arrives while an append is in flight into the next one', () => {
    let state = Run.received(begun(), 'text', 'a')
    const first = takeAppend(state)
    state = first?.state ?? state
    for (const text of ['b', 'c', 'd']) state = Run.received(state, 'text', text)
    expect(takeAppend(state)).toBeUndefined()
    const second = takeAppend(Run.appended(state, 2))
    expect(second?.append.event).toMatchObject({ type: 'run.output', index: 1, text: 'bcd' })
  })

  it('takes text that need not wait in one step, as if it was received and then taken', () => {
    const passed = Run.receivedAndTaken(begun(), 'text', 'a')
    expect(passed).toEqual(takeAppend(Run.received(begun(), 'text', 'a'))?.state)
    expect(Run.receivedAndTaken(passed ?? begun(), 'text', 'b')).toBeUndefined()
    expect(Run.receivedAndTaken(Run.received(begun(), 'text', 'a'), 'text', 'b')).toBeUndefined()
  })
})
