// docs/configuration.md is generated from the table of settings, and no document names a setting that does not exist.
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { configurationPage } from '../scripts/configuration.mjs'
import { FOREIGN_VARIABLES, SETTINGS, TOPICS } from '../server/config/settings.ts'

const root = new URL('..', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const pages = (folder: string, recursive: boolean) =>
  readdirSync(new URL(folder, root), { recursive, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => folder + path)

/** Variables of deploy/compose.yaml, which are not the server's. */
const COMPOSE = ['PARLEY_SITE', 'PARLEY_NODES', 'PARLEY_HTTP', 'PARLEY_HTTPS']
/** Of `npm run test:soak` and `test:fuzz`. */
const TESTS = ['PARLEY_SOAK_MINUTES', 'PARLEY_FUZZ_MINUTES']
/** Streams in NATS begin with the same prefix. */
const STREAM = /^PARLEY_(SESSIONS|TRANSCRIPTS|RUNS|MARKS|DIRECTORY|USAGE)/
const SERVER = Object.values(SETTINGS).map(({ variable }) => variable)
const KNOWN = new Set([...SERVER, ...FOREIGN_VARIABLES, ...COMPOSE, ...TESTS])

it('docs/configuration.md is what `npm run docs` generates', () => {
  expect(read('docs/configuration.md')).toBe(configurationPage(TOPICS))
})

it('every setting has exactly one topic', () => {
  const keys = Object.values(TOPICS).flatMap((settings) => Object.keys(settings))
  expect(keys.sort()).toEqual(Object.keys(SETTINGS).sort())
})

it.each([...pages('', false), ...pages('docs/', true)])('%s names only settings that exist', (path) => {
  const named = [...read(path).matchAll(/\bPARLEY_[A-Z_]*[A-Z]\b(?!_)/g)].map(([name]) => name)
  expect(named.filter((name) => !KNOWN.has(name) && !STREAM.test(name))).toEqual([])
})
