// Random answers of up to 64 kB in the page: it is never blank, and no task of its main thread takes long.
import process from 'node:process'
import { wellFormed } from '@parley/protocol'
import fc from 'fast-check'
import { TEST_SEED } from '../../server/test/strict-client.ts'
import { FORMATTED } from './hostile-answers.ts'
import { testHostileAnswers } from './hostile-answers-suite.ts'

/** Answers per minute of this file's quarter of PARLEY_FUZZ_MINUTES, on two cores. */
const PER_MINUTE = 20
const MINUTES = Number(process.env.PARLEY_FUZZ_MINUTES ?? 10) / 4
const SIZE = 64_000

const FRAGMENTS = [
  '- ',
  '1. ',
  '> ',
  '  ',
  '\t',
  '\n',
  '\n\n',
  '# ',
  '```',
  '```js\n',
  '~~~',
  '`',
  '``',
  '*',
  '**',
  '_',
  '~~',
  '[',
  ']',
  '](',
  ')',
  '![',
  '<',
  '>',
  '<br>',
  '<!--',
  '-->',
  '<div>',
  '&amp;',
  '&#0;',
  '|',
  '|-|-|\n',
  '\n|a|b|\n',
  '---',
  '===',
  '$',
  '$$',
  '\\(',
  '\\)',
  '\\[',
  '\\]',
  '\\',
  '[^1]',
  '[^1]: ',
  'https://example.org/',
  'www.',
  '@',
  '漢字',
  '。',
  'שלום',
  'سلام',
  'สวัสดี',
  'नमस्ते',
  'слово',
  '\u202e',
  '\u0301',
  '👩‍👩‍👧',
  '\u0000',
  '\ufffd',
  '\r\n',
  'a',
  ' ',
  'word ',
  '\\frac{a}{b}',
  '^',
  '- [ ] ',
]

const fragment = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...FRAGMENTS) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
)
const answer = fc
  .array(fc.tuple(fc.array(fragment, { minLength: 1, maxLength: 12 }), fc.constantFrom(1, 1, 3, 50, 20_000)), {
    minLength: 1,
    maxLength: 6,
  })
  .map((pieces) => {
    const text = pieces.map(([fragments, times]) => {
      const piece = fragments.join('')
      return piece.repeat(Math.min(times, Math.ceil(SIZE / pieces.length / Math.max(1, piece.length))))
    })
    return wellFormed(text.join('\n\n').slice(0, SIZE))
  })

const answers = fc.sample(answer, { seed: TEST_SEED, numRuns: Math.max(4, Math.round(PER_MINUTE * MINUTES)) })

testHostileAnswers({
  formatted: { 'nested lists': FORMATTED['nested lists'] ?? '' },
  random: Object.fromEntries(answers.map((text, index) => [`random fragments, ${TEST_SEED} ${index},`, text])),
})
