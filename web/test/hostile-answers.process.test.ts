// One hostile answer of each kind: nested deeply, slow to parse, slow to render.
import { FORMATTED, SLOW } from './hostile-answers.ts'
import { testHostileAnswers } from './hostile-answers-suite.ts'

// Combining marks are in the long test: how long they take depends on the machine's fonts.
const few = ['nested lists', 'link definitions']

testHostileAnswers(
  Object.fromEntries(Object.entries(FORMATTED).filter(([name]) => few.includes(name))),
  Object.fromEntries(Object.entries(SLOW).slice(0, 1)),
)
