// The text of a plan, and the errors of an invalid one.
import { expect, it } from 'vitest'
import { ExperimentForm } from './experiment-plan.ts'

const PLAN = {
  name: 'first-door',
  variants: [
    { name: 'control', weight: 50 },
    { name: 'sse-first', weight: 50, doors: ['sse', 'websocket'] },
  ],
}

it.each([
  'first-door: control=50:auto, sse-first=50:sse>websocket',
  'first-door:control=50:auto,sse-first=50:sse>websocket',
  '  first-door : control = 50 : auto ,  sse-first = 50 : sse > websocket ',
])('parses %j', (text) => {
  expect(ExperimentForm.parse(text)).toEqual(PLAN)
})

it('accepts an object', () => {
  expect(ExperimentForm.parse(PLAN)).toEqual(PLAN)
})

const FORM = 'must have the form first-door: control=50:auto, sse-first=50:sse'
const DOORS = 'must prefer auto, or transports among websocket, sse, poll, separated by >, each once'
const WEIGHT = 'must have weights that are whole numbers from 0 to 1000000'

it.each([
  ['', FORM],
  ['first-door', FORM],
  ['first-door: control', FORM],
  ['first-door: control=50, other=50', FORM],
  ['first-door: a=1:auto, b=1:', FORM],
  ['first-door: a=1:auto, b=1:sse,', FORM],
  [7, FORM],
  [{ ...PLAN, more: 1 }, FORM],
  [{ name: 'x', variants: [{ name: 'a', weight: 1, color: 'red' }] }, FORM],
  ['x: a=1:auto', 'must have at least two variants'],
  [`x: ${Array.from({ length: 9 }, (_, i) => `v${i}=1:auto`).join(', ')}`, 'must have at most 8 variants'],
  ['x: a=1:auto, b=1:ndjson', DOORS],
  ['x: a=1:auto, b=1:sse>sse', DOORS],
  ['x: a=1:auto, b=1:sse>auto', DOORS],
  ['x: a=half:auto, b=1:sse', WEIGHT],
  ['x: a=-1:auto, b=1:sse', WEIGHT],
  ['x: a=0.5:auto, b=1:sse', WEIGHT],
  ['x: a=1000001:auto, b=1:sse', WEIGHT],
  ['x: a=0:auto, b=0:sse', 'must give at least one variant a weight above 0'],
  ['x: a=1:auto, a=1:sse', 'must name each variant once, but contains a twice'],
  ['x: other=1:auto, a=1:sse', 'must not name a variant other'],
  ['a b: a=1:auto, b=1:sse', 'must have names of 1 to 32 of A-Z a-z 0-9 _ -'],
  ['x: =1:auto, b=1:sse', 'must have names of 1 to 32 of A-Z a-z 0-9 _ -'],
])('refuses %j: %s', (written, message) => {
  expect(ExperimentForm.safeParse(written).error?.issues[0]?.message).toBe(message)
})
