// Half characters are replaced.
import { expect, it } from 'vitest'
import { wellFormed } from './well-formed.ts'

it('replaces lone surrogates in strings, keys and nested values, and keeps everything else', () => {
  expect(wellFormed('a\ud83d')).toBe('a\ufffd')
  expect(wellFormed({ 'k\udc00': ['😀', { deep: '\ud800x' }], n: 1, none: null })).toEqual({
    'k\ufffd': ['😀', { deep: '\ufffdx' }],
    n: 1,
    none: null,
  })
  const value = { text: 'Grüße 😀', list: [1, null] }
  expect(wellFormed(value)).toBe(value)
  expect(wellFormed(undefined)).toBeUndefined()
})
