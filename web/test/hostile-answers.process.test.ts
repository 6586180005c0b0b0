// One hostile answer of each kind: nested deeply, slow to parse, slow to render.
import { FORMATTED, NESTS, SLOW, TWO_DIRECTIONS } from './hostile-answers.ts'
import { testHostileAnswers } from './hostile-answers-suite.ts'

// Combining marks are in the long test: how long they take depends on the machine's fonts.
const few = ['nested lists', 'link definitions', TWO_DIRECTIONS]

/** Other tests run at the same time, and share the caches of the cores. Without slices, these answers take seconds. */
const BUSY_MS = 600

testHostileAnswers(
  {
    formatted: Object.fromEntries(Object.entries(FORMATTED).filter(([name]) => few.includes(name))),
    slow: Object.fromEntries(Object.entries(SLOW).slice(0, 1)),
    growing: { 'nests deeper': NESTS },
  },
  BUSY_MS,
)
