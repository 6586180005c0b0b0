// The text of a run's result.
import type { OutputPart } from '@parley/protocol'
import { expect, it } from 'vitest'
import { textOf } from './run-report.ts'

const said = (text: string, unseen?: true): OutputPart => ({
  type: 'text',
  text,
  index: 0,
  lengths: [text.length],
  ...(unseen && { unseen }),
})
const CALL: OutputPart = { type: 'tool', call: 'c', name: 'weather' }
const STEER: OutputPart = { type: 'message', message: 'm' }

it('separates text before and after a tool call or a steering message', () => {
  // It ran together: "Let me look.It is sunny."
  expect(textOf([said('Let me look.'), CALL, CALL, said('It is sunny.')])).toBe('Let me look.\n\nIt is sunny.')
  expect(textOf([said('One'), STEER, said('Two')])).toBe('One\n\nTwo')
})

it('adds nothing at white space, at the ends, or between parts without a call', () => {
  expect(textOf([said('One\n'), CALL, said('Two')])).toBe('One\nTwo')
  expect(textOf([said('One'), CALL, said(' Two')])).toBe('One Two')
  expect(textOf([CALL, said('One'), CALL])).toBe('One')
  expect(textOf([said('On'), said('e')])).toBe('One')
  expect(textOf([said('One'), CALL, said('Two', true)])).toBe('One')
})
