// The verifier accepts every correct form of a stream, and detects every single fault.
import type { Event, OutputPart } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { knownText } from './plan.ts'
import { anyFault, NO_FAULTS, StreamVerifier } from './stream-verifier.ts'

const RUN = 'run_1'

interface Entry {
  readonly cursor: string
  readonly event: Event
}

/** An answer, split into outputs at random positions. */
const answers = fc
  .record({
    count: fc.integer({ min: 1, max: 60 }),
    cuts: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 60 }),
  })
  .map(({ count, cuts }) => {
    const text = knownText(count)
    const outputs: string[] = []
    let at = 0
    for (const cut of cuts) {
      if (at >= text.length) break
      outputs.push(text.slice(at, at + cut))
      at += cut
    }
    if (at < text.length) outputs.push(text.slice(at))
    return { text, outputs }
  })

function entries(outputs: readonly string[]): Entry[] {
  const events: Event[] = outputs.map((text, index) => ({ type: 'run.output', run: RUN, index, kind: 'text', text }))
  return [...events, ended(outputs.length)].map((event, at) => ({ cursor: `e.${at + 10}`, event }))
}

function ended(next: number, output?: OutputPart[]): Event {
  const usage = { inputTokens: 1, outputTokens: next }
  return { type: 'run.ended', run: RUN, reason: 'completed', usage, next, ...(output === undefined ? {} : { output }) }
}

function compacted(outputs: readonly string[]): OutputPart[] {
  const lengths = outputs.map(({ length }) => length)
  return outputs.length === 0 ? [] : [{ type: 'text', text: outputs.join(''), index: 0, lengths }]
}

function faultsOf(text: string, given: readonly Entry[]) {
  const verifier = new StreamVerifier(text)
  for (const { cursor, event } of given) verifier.take(cursor, event)
  return verifier.faults
}

describe('a correct stream', () => {
  it('has no fault, whatever its outputs are', () => {
    fc.assert(
      fc.property(answers, ({ text, outputs }) => {
        expect(faultsOf(text, entries(outputs))).toEqual(NO_FAULTS)
      }),
    )
  })

  it('has no fault with a snapshot, merged outputs and a complete run.ended', () => {
    fc.assert(
      fc.property(answers, fc.nat(), fc.nat(), ({ text, outputs }, a, b) => {
        const from = a % (outputs.length + 1)
        const merged = outputs.slice(from)
        const given: Event[] = [
          { type: 'run.snapshot', run: RUN, next: from, output: compacted(outputs.slice(0, from)) },
        ]
        const count = merged.length
        if (count > 1)
          given.push({ type: 'run.output', run: RUN, index: from, kind: 'text', text: merged.join(''), count })
        else if (count === 1)
          given.push({ type: 'run.output', run: RUN, index: from, kind: 'text', text: merged[0] ?? '' })
        given.push(ended(outputs.length, b % 2 === 0 ? compacted(outputs) : undefined))
        expect(
          faultsOf(
            text,
            given.map((event, at) => ({ cursor: `e.${at}`, event })),
          ),
        ).toEqual(NO_FAULTS)
      }),
    )
  })

  it('has no fault if the run restarted and its indexes continue', () => {
    const verifier = new StreamVerifier('0 1')
    const started = {
      type: 'run.started',
      run: RUN,
      epoch: 2,
      mode: 'restart',
      model: 'demo',
      message: 'm',
      next: 1,
    } as const
    verifier.take('e.1', { type: 'run.output', run: RUN, index: 0, kind: 'text', text: '0' })
    verifier.take('e.2', started)
    verifier.take('e.3', { type: 'run.output', run: RUN, index: 1, kind: 'text', text: '0 1' })
    verifier.take('e.4', ended(2))
    expect(verifier.faults).toEqual(NO_FAULTS)
    expect(verifier.text).toBe('0 1')
  })

  it('has no fault if it was cancelled', () => {
    const [first] = entries(['0 1'])
    const cancelled: Event = { ...(ended(1) as Extract<Event, { type: 'run.ended' }>), reason: 'cancelled' }
    expect(faultsOf('0 1 2 3', [first as Entry, { cursor: 'e.99', event: cancelled }])).toEqual(NO_FAULTS)
  })
})

describe('a single fault', () => {
  const places = fc.tuple(answers, fc.nat()).map(([answer, at]) => ({ ...answer, at: at % answer.outputs.length }))

  it('is detected if an output is missing', () => {
    fc.assert(
      fc.property(places, ({ text, outputs, at }) => {
        const given = entries(outputs)
        given.splice(at, 1)
        expect(faultsOf(text, given)).toMatchObject({ lost: 1, repeated: 0 })
      }),
    )
  })

  it('is detected if an output is repeated, at once or later, with its own or another cursor', () => {
    fc.assert(
      fc.property(places, fc.nat(), fc.boolean(), ({ text, outputs, at }, later, disguised) => {
        const given = entries(outputs)
        const again = given[at] as Entry
        const place = at + 1 + (later % (outputs.length - at))
        given.splice(place, 0, disguised ? { ...again, cursor: `e.${place + 10}` } : again)
        expect(faultsOf(text, given).repeated).toBeGreaterThan(0)
      }),
    )
  })

  it('is detected if two outputs are swapped', () => {
    fc.assert(
      fc.property(places, fc.nat(), ({ text, outputs, at }, other) => {
        const to = other % outputs.length
        fc.pre(to !== at)
        const given = entries(outputs)
        ;[given[at], given[to]] = [given[to] as Entry, given[at] as Entry]
        expect(faultsOf(text, given).reordered).toBeGreaterThan(0)
      }),
    )
  })

  it('is detected if the text of an output changed', () => {
    fc.assert(
      fc.property(places, fc.constantFrom(...'0x '), ({ text, outputs, at }, letter) => {
        const changed = outputs.with(at, `${letter}${(outputs[at] ?? '').slice(1)}`)
        fc.pre(changed[at] !== outputs[at])
        expect(anyFault(faultsOf(text, entries(changed)))).toBe(true)
      }),
    )
  })

  it('is detected if the run ends early, whatever count its end carries', () => {
    fc.assert(
      fc.property(places, fc.boolean(), ({ text, outputs, at }, honest) => {
        const given = entries(outputs.slice(0, at))
        given[at] = { cursor: 'e.99', event: ended(honest ? at : outputs.length) }
        expect(anyFault(faultsOf(text, given))).toBe(true)
      }),
    )
  })

  it('is detected in a complete result', () => {
    fc.assert(
      fc.property(places, fc.constantFrom('drop', 'repeat', 'swap'), ({ text, outputs, at }, fault) => {
        const bad = [...outputs]
        const one = outputs[at] ?? ''
        if (fault === 'drop') bad.splice(at, 1)
        else if (fault === 'repeat') bad.splice(at, 0, one)
        else [bad[at], bad[0]] = [bad[0] ?? '', one]
        fc.pre(bad.join('') !== text)
        const verifier = new StreamVerifier(text)
        verifier.takeResult('completed', compacted(bad), bad.join(''))
        expect(anyFault(verifier.faults)).toBe(true)
      }),
    )
  })

  it('is detected if the transcript differs', () => {
    const verifier = new StreamVerifier(undefined)
    for (const { cursor, event } of entries(['I am', ' here'])) verifier.take(cursor, event)
    verifier.transcript('I am here')
    expect(verifier.faults).toEqual(NO_FAULTS)
    verifier.transcript('I am there')
    expect(verifier.faults).toMatchObject({ wrong: 1 })
  })
})
