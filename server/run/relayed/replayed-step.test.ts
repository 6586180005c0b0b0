// An answer is read again from its beginning: what the log has of it is dropped, and the rest passes, wherever the first driver died
// and however the deltas were cut, joined or compacted.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { CallState } from '../../session/state/call-state.ts'
import { addEvent, addPart, fromParts, type RunOutput, toParts } from '../../session/state/run-output.ts'
import type { ModelExtra } from '../run-extras.ts'
import { beforeStep, ReplayedStep, ReplayMismatch } from './replayed-step.ts'

/** What a model gives: `input` and `call` have the provider's id. */
type Given =
  | { readonly kind: 'text' | 'reasoning'; readonly text: string }
  | { readonly kind: 'input'; readonly id: string; readonly name: string; readonly text: string }
  | { readonly kind: 'source'; readonly url: string }
  | { readonly kind: 'call'; readonly id: string; readonly name: string; readonly input: string }

const STEP = 3

/** The log of a driver: it joins some outputs, and some of it is compacted. */
class Log {
  output: RunOutput | undefined
  next: number
  readonly calls = new Map<string, CallState>()
  readonly #ids = new Map<string, string>()
  #ordinal = 0

  constructor(before: readonly string[]) {
    let output: RunOutput | undefined
    before.forEach((text, index) => {
      output = addEvent(output, { type: 'run.output', run: 'r', index, kind: 'text', text })
    })
    this.output = before.length === 0 ? undefined : addPart(output, { type: 'tool', call: 'earlier', name: 'noop' })
    if (before.length > 0)
      this.calls.set('earlier', { id: 'earlier', name: 'noop', input: {}, step: STEP - 1 } as CallState)
    this.next = before.length
  }

  resumed(id: string, call: string): void {
    this.#ids.set(id, call)
  }

  add(given: Given): string {
    if (given.kind === 'call') {
      const id = this.#callId(given.id)
      const input: unknown = JSON.parse(given.input)
      this.calls.set(id, { id, name: given.name, input, step: STEP } as CallState)
      this.output = addPart(this.output, { type: 'tool', call: id, name: given.name })
      return id
    }
    const base = { type: 'run.output' as const, run: 'r', index: this.next }
    this.next += 1
    if (given.kind === 'source') {
      this.output = addEvent(this.output, { ...base, kind: 'source', url: given.url, text: '' })
    } else if (given.kind === 'input') {
      const isNew = !this.#ids.has(given.id)
      const call = this.#callId(given.id)
      const name = isNew ? { name: given.name } : {}
      this.output = addEvent(this.output, { ...base, kind: 'input', call, ...name, text: given.text })
    } else this.output = addEvent(this.output, { ...base, kind: given.kind, text: given.text })
    return ''
  }

  compact(): void {
    this.output = fromParts(toParts(this.output))
  }

  #callId(id: string): string {
    this.#ordinal += 1
    const call = this.#ids.get(id) ?? `call_${this.#ordinal}_${id}`
    this.#ids.set(id, call)
    return call
  }
}

/** What a reader sees: adjacent outputs are one. */
function seen(log: Log): unknown[] {
  const whole: { type: string; call: string; text: string }[] = []
  const names = new Map<string, string>()
  const nameOf = (call: string): string => {
    if (!names.has(call)) names.set(call, `c${names.size}`)
    return names.get(call) as string
  }
  for (const part of toParts(log.output)) {
    const call = 'call' in part ? nameOf(part.call) : ''
    const text = part.type === 'source' ? part.url : 'text' in part ? part.text : ''
    const last = whole.at(-1)
    if (last !== undefined && last.type === part.type && last.call === call && part.type !== 'source') last.text += text
    else whole.push({ type: part.type, call, text })
  }
  return [...whole, ...[...log.calls.values()].map(({ name, input }) => [name, input])]
}

const word = fc.string({ minLength: 1, maxLength: 12 })
const answers = fc
  .record({
    pieces: fc.array(
      fc.oneof(
        fc.record({ kind: fc.constantFrom('text' as const, 'reasoning' as const), text: word }),
        fc.record({ kind: fc.constant('source' as const), url: fc.constantFrom('https://a', 'https://b') }),
        fc.record({ kind: fc.constant('input' as const), call: fc.nat(2), text: word }),
      ),
      { maxLength: 12 },
    ),
    calls: fc.nat(3),
  })
  .map(({ pieces, calls }): Given[] => {
    const name = (call: number): string => `tool_${call % 2}`
    const given = pieces
      .filter((piece) => piece.kind !== 'input' || piece.call < calls)
      .map((piece): Given => {
        if (piece.kind !== 'input') return piece
        return { kind: 'input', id: `p${piece.call}`, name: name(piece.call), text: piece.text }
      })
    // Two of the calls may be equal.
    const made = Array.from({ length: calls }, (_, call): Given => {
      return { kind: 'call', id: `p${call}`, name: name(call), input: JSON.stringify({ n: call >> 1 }) }
    })
    return [...given, ...made]
  })

/** Cuts the texts of an answer at other places. */
function recut(given: readonly Given[], sizes: readonly number[]): Given[] {
  let at = 0
  return given.flatMap((one): Given[] => {
    if (!('text' in one)) return [one]
    const pieces: Given[] = []
    for (let rest = one.text; rest !== ''; ) {
      const size = sizes[at % sizes.length] as number
      at += 1
      pieces.push({ ...one, text: rest.slice(0, size) })
      rest = rest.slice(size)
    }
    return pieces
  })
}

const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 })

function replay(log: Log, next: number, given: readonly Given[]): void {
  const step = new ReplayedStep(log, { step: STEP, next })
  for (const one of given) {
    if (one.kind === 'text' || one.kind === 'reasoning') {
      const text = step.text(one.kind, one.text)
      if (text !== '') log.add({ kind: one.kind, text })
    } else if (one.kind === 'call') {
      if (step.call(one) !== undefined) continue
      const known = step.idOf(one.id)
      if (known !== undefined) log.resumed(one.id, known)
      log.add(one)
    } else {
      const rest = step.extra(one as ModelExtra)
      if (rest === undefined) continue
      const known = rest.kind === 'input' ? step.idOf(rest.id) : undefined
      if (known !== undefined && rest.kind === 'input') log.resumed(rest.id, known)
      log.add(rest as Given)
    }
  }
  step.end()
}

it('gives readers the answer once, whatever the log had of it', () => {
  const property = fc.property(
    answers,
    fc.array(word, { maxLength: 3 }),
    cuts,
    cuts,
    fc.array(fc.nat(60), { minLength: 1, maxLength: 3 }),
    fc.boolean(),
    (answer, before, first, second, deaths, isCompacted) => {
      const whole = new Log(before)
      for (const given of answer) whole.add(given)
      let log = new Log(before)
      const { next } = log
      const begun = recut(answer, first)
      for (const given of begun.slice(0, deaths[0])) log.add(given)
      if (isCompacted) log.compact()
      const again = recut(answer, second)
      // Each of the next drivers may die as well, before or after the place of the one before.
      for (const death of deaths.slice(1)) {
        const copy = clone(log)
        try {
          replay(copy, next, again.slice(0, death))
        } catch (error) {
          // It died before the end.
          if (!(error instanceof ReplayMismatch)) throw error
        }
        log = copy
      }
      replay(log, next, again)
      expect(seen(log)).toEqual(seen(whole))
      expect(toParts(beforeStep(log as never, { step: STEP, next }).output)).toEqual(toParts(new Log(before).output))
    },
  )
  fc.assert(property, { numRuns: 500 })
})

function clone(log: Log): Log {
  const copy = new Log([])
  copy.output = log.output
  copy.next = log.next
  for (const [id, call] of log.calls) copy.calls.set(id, call)
  return copy
}

it('refuses an answer that differs from the log', () => {
  const logOf = (...given: Given[]): ReplayedStep => {
    const log = new Log([])
    for (const one of given) log.add(one)
    return new ReplayedStep(log, { step: STEP, next: 0 })
  }
  const text: Given = { kind: 'text', text: 'abc' }
  const call: Given = { kind: 'call', id: 'p', name: 'add', input: '{"a":1}' }
  expect(() => logOf(text).text('text', 'abd')).toThrow(ReplayMismatch)
  expect(() => logOf(text).text('reasoning', 'abc')).toThrow(ReplayMismatch)
  expect(() => logOf(text).end()).toThrow(ReplayMismatch)
  expect(() => logOf(text).call(call)).toThrow(ReplayMismatch)
  expect(() => logOf(call).end()).toThrow(ReplayMismatch)
  expect(() => logOf(call).call({ ...call, input: '{"a":2}' })).toThrow(ReplayMismatch)
  expect(logOf(call).call({ ...call, id: 'other' })?.name).toBe('add')
})
