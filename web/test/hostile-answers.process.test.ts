// One hostile answer of each kind: nested deeply, slow to parse, slow to render.
import { FORMATTED, SLOW } from './hostile-answers.ts'
import { testHostileAnswers } from './hostile-answers-suite.ts'

// Combining marks are in the long test: how long they take depends on the machine's fonts.
const few = ['nested lists', 'link definitions']

/** Other tests run at the same time, and share the caches of the cores. Without slices, these answers take seconds. */
const BUSY_MS = 600

testHostileAnswers(
  Object.fromEntries(Object.entries(FORMATTED).filter(([name]) => few.includes(name))),
  Object.fromEntries(Object.entries(SLOW).slice(0, 1)),
  {},
  BUSY_MS,
)
