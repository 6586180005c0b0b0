// All hostile answers.
import { FORMATTED, LENGTHENS, NESTS, SLOW } from './hostile-answers.ts'
import { testHostileAnswers } from './hostile-answers-suite.ts'

testHostileAnswers({
  formatted: FORMATTED,
  slow: SLOW,
  growing: { 'nests deeper': NESTS, 'lengthens one word': LENGTHENS },
})
