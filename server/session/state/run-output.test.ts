// RunOutput: merging outputs in memory does not change what readers get.
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
    // An output that this node never received.
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

describe('the output of a run', () => {
  it('consists of parts, with adjacent outputs of one kind merged', () => {
    fc.assert(
      fc.property(steps, (played) => {
        const { output, parts } = play(played)
        expect(toParts(output)).toEqual(parts)
      }),
    )
  })

  it('does not change when outputs are appended', () => {
    const texts = Array.from({ length: 200 }, (_, index) => ` ${index}`)
    const lists: (RunOutput | undefined)[] = [undefined]
    for (const [index, text] of texts.entries()) lists.push(addOutput(lists[index], 'text', index, text))
    for (const [length, list] of lists.entries()) {
      const text = toParts(list).map((part) => (part.type === 'text' ? part.text : ''))
      expect(text.join('')).toBe(texts.slice(0, length).join(''))
    }
  })

  it('needs few objects for a long answer', () => {
    let output: RunOutput | undefined
    for (let index = 0; index < 10_000; index += 1) output = addOutput(output, 'text', index, 'word')
    let nodes = 0
    for (let node = output; node !== undefined; node = node.previous) nodes += 1
    expect(nodes).toBeLessThan(400)
  })
})
