// README: what it says of settings, scripts and files is so.
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { SETTINGS } from '../server/config/settings.ts'

const root = new URL('..', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const readme = read('README.md')

describe('the README', () => {
  it.each(Object.values(SETTINGS))(
    'tells of $variable, with its default and meaning',
    ({ variable, fallback, help }) => {
      const row = readme.split('\n').find((line) => line.startsWith(`| \`${variable}\` |`))
      expect(row).toContain(`| ${help} |`)
      if (variable !== 'PARLEY_NODE' && !Array.isArray(fallback)) expect(row).toContain(`${fallback ?? ''}`)
    },
  )

  it('tells of no setting that is not there', () => {
    const variables = new Set<string>(Object.values(SETTINGS).map(({ variable }) => variable))
    const told = [...readme.matchAll(/\bPARLEY_[A-Z_]+/g)].map(([name]) => name)
    expect(told.filter((name) => !variables.has(name))).toEqual([])
  })

  it('links to files that are there', () => {
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link]) => link ?? '')
    expect(links.filter((link) => !existsSync(new URL(link, root)))).toEqual([])
  })

  it('names scripts that are there', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = [...readme.matchAll(/\bnpm run ([a-z]+)/g)].map(([, name]) => name ?? '')
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })
})
