// Keys of an input method, in the orders of both engines, and that every key handler of the page asks for them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { isInputMethodKey } from './input-method.ts'

const SOURCES = fileURLToPath(new URL('..', import.meta.url))

/** It only notes that the user did something. */
const EXCEPT = ['use-stick-to-end.ts', 'input-method.test.ts']

it('knows the keys of an input method, whether it has ended its composition or not', () => {
  const key = (isComposing: boolean, keyCode: number): boolean =>
    isInputMethodKey({ isComposing, keyCode } as KeyboardEvent)
  expect(key(true, 13)).toBe(true)
  expect(key(true, 229)).toBe(true)
  // Safari: compositionend comes before the keydown of Enter.
  expect(key(false, 229)).toBe(true)
  expect(key(false, 13)).toBe(false)
})

it('is asked by every key handler of the page', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  const handlers = files
    .filter((path) => /\.tsx?$/.test(path) && !EXCEPT.some((name) => path.endsWith(name)))
    .map((path) => ({ path, source: readFileSync(join(SOURCES, path), 'utf8') }))
    .filter(({ source }) => /onKey(?:Down|Up|Press)=|['"]key(?:down|up|press)['"]/.test(source))
  expect(handlers.length).toBeGreaterThan(2)
  expect(handlers.filter(({ source }) => !source.includes('isInputMethodKey(')).map(({ path }) => path)).toEqual([])
})
