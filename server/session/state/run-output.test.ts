// What a run has put out: however it is held, it reads as if every output stood alone.
import type { OutputPart } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addOutput, addPart, type RunOutput, toParts } from './run-output.ts'

type Step =
  | { readonly type: 'text' | 'reasoning'; readonly texts: readonly string[] }
  | { readonly type: 'tool' }
  | { readonly type: 'gap' }

const steps = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constantFrom('text' as const, 'reasoning' as const),
      texts: fc.array(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 100 }),
    }),
    fc.constant({ type: 'tool' as const }),
    // An index that this node never saw.
    fc.constant({ type: 'gap' as const }),
  ),
  { maxLength: 8 },
)

function play(played: readonly Step[]): { output: RunOutput | undefined; parts: OutputPart[] } {
  let output: RunOutput | undefined
  let next = 0
  const parts: OutputPart[] = []
  for (const [at, step] of played.entries()) {
    if (step.type === 'gap') {
      next += 1
    } else if (step.type === 'tool') {
      const part = { type: 'tool' as const, call: `call_${at}`, name: 'look' }
      output = addPart(output, part)
      parts.push(part)
    } else {
      for (const text of step.texts) {
        output = addOutput(output, step.type, next, text)
        const last = parts.at(-1)
        if (last?.type === step.type && last.index + last.lengths.length === next) {
          parts[parts.length - 1] = { ...last, text: last.text + text, lengths: [...last.lengths, text.length] }
        } else parts.push({ type: step.type, text, index: next, lengths: [text.length] })
        next += 1
      }
    }
  }
  return { output, parts }
}

describe('what a run has put out', () => {
  it('is told in parts, neighbours of one kind as one', () => {
    fc.assert(
      fc.property(steps, (played) => {
        const { output, parts } = play(played)
        expect(toParts(output)).toEqual(parts)
      }),
    )
  })

  it('is not changed by what is added to it', () => {
    const texts = Array.from({ length: 200 }, (_, index) => ` ${index}`)
    const lists: (RunOutput | undefined)[] = [undefined]
    for (const [index, text] of texts.entries()) lists.push(addOutput(lists[index], 'text', index, text))
    for (const [length, list] of lists.entries()) {
      const said = toParts(list).map((part) => (part.type === 'text' ? part.text : ''))
      expect(said.join('')).toBe(texts.slice(0, length).join(''))
    }
  })

  it('holds few objects for a long answer', () => {
    let output: RunOutput | undefined
    for (let index = 0; index < 10_000; index += 1) output = addOutput(output, 'text', index, 'word')
    let held = 0
    for (let list = output; list !== undefined; list = list.before) held += 1
    expect(held).toBeLessThan(400)
  })
})
