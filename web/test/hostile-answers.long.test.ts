// All hostile answers.
import { FORMATTED, SLOW } from './hostile-answers.ts'
import { testHostileAnswers } from './hostile-answers-suite.ts'

testHostileAnswers(FORMATTED, SLOW)
