// A plan as operators write it, and what is said of one that is wrong.
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
])('is read from %j', (text) => {
  expect(ExperimentForm.parse(text)).toEqual(PLAN)
})

it('may be an object, too', () => {
  expect(ExperimentForm.parse(PLAN)).toEqual(PLAN)
})

const FORM = 'must be such as first-door: control=50:auto, sse-first=50:sse'
const DOORS = 'must prefer auto, or doors of websocket, sse, poll with > between, each once'
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
  ['x: a=1:auto', 'must have two variants at least'],
  [`x: ${Array.from({ length: 9 }, (_, i) => `v${i}=1:auto`).join(', ')}`, 'must have 8 variants at most'],
  ['x: a=1:auto, b=1:ndjson', DOORS],
  ['x: a=1:auto, b=1:sse>sse', DOORS],
  ['x: a=1:auto, b=1:sse>auto', DOORS],
  ['x: a=half:auto, b=1:sse', WEIGHT],
  ['x: a=-1:auto, b=1:sse', WEIGHT],
  ['x: a=0.5:auto, b=1:sse', WEIGHT],
  ['x: a=1000001:auto, b=1:sse', WEIGHT],
  ['x: a=0:auto, b=0:sse', 'must give some variant a weight'],
  ['x: a=1:auto, a=1:sse', 'must name each variant once, and has a twice'],
  ['x: other=1:auto, a=1:sse', 'must have no variant named other'],
  ['a b: a=1:auto, b=1:sse', 'must have names of 1 to 32 of A-Z a-z 0-9 _ -'],
  ['x: =1:auto, b=1:sse', 'must have names of 1 to 32 of A-Z a-z 0-9 _ -'],
])('%j is refused: %s', (written, message) => {
  expect(ExperimentForm.safeParse(written).error?.issues[0]?.message).toBe(message)
})
