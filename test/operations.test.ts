// The guide for operators: it explains every line that the server logs, and none that it does not; what it names is there.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { SETTINGS } from '../server/config/settings.ts'

const root = new URL('..', import.meta.url)
const guide = readFileSync(new URL('docs/operations.md', root), 'utf8')

describe('the guide for operators', () => {
  const told = [...guide.matchAll(/^\| (\w+) \| `([^`]+)` \|/gm)].map(([, level, message]) => ({ level, message }))
  const logged = [...sources(fileURLToPath(new URL('server/', root)))].flatMap((path) =>
    logLines(readFileSync(path, 'utf8')),
  )

  it('explains each line that is logged, at its level', () => {
    expect(logged.length).toBeGreaterThan(30)
    const unexplained = logged.filter(({ level, pattern }) => {
      return !told.some((row) => pattern.test(row.message ?? '') && (level === undefined || level === row.level))
    })
    expect(unexplained.map(({ text }) => text)).toEqual([])
  })

  it('explains no line that is not logged', () => {
    const idle = told.filter(({ message }) => !logged.some(({ pattern }) => pattern.test(message ?? '')))
    expect(idle.map(({ message }) => message)).toEqual([])
  })

  it('names settings and files that are there', () => {
    const variables = new Set<string>(Object.values(SETTINGS).map(({ variable }) => variable))
    const named = [...guide.matchAll(/\bPARLEY_[A-Z_]*[A-Z]\b(?!_)/g)].map(([name]) => name)
    const streams = /^PARLEY_(SESSIONS|TRANSCRIPTS|RUNS|MARKS)/
    expect(named.filter((name) => !variables.has(name) && !streams.test(name))).toEqual([])
    const links = [...guide.matchAll(/\]\((\.\.\/[^)#]+)/g)].map(([, link]) => link ?? '')
    expect(links.filter((link) => !existsSync(new URL(link, new URL('docs/', root))))).toEqual([])
  })

  it('links to headings of its own', () => {
    const headings = [...guide.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => `#${slug(heading ?? '')}`)
    const links = [...guide.matchAll(/\]\((#[^)]+)\)/g)].map(([, link]) => link ?? '')
    expect(links.filter((link) => !headings.includes(link))).toEqual([])
  })
})

function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-')
}

/** What runs in a server. */
function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}${entry.name}`
    if (entry.isDirectory()) {
      if (!['dist', 'bench', 'test', 'node_modules'].includes(entry.name)) yield* sources(`${path}/`)
    } else if (/(?<!\.(test|contract|property|d))\.ts$/.test(entry.name)) yield path
  }
}

interface LogLine {
  /** Undefined where it is chosen at run time. */
  readonly level: string | undefined
  readonly text: string
  readonly pattern: RegExp
}

/** The calls of a logger in a source. The message is the last text in one. */
function logLines(source: string): LogLine[] {
  const calls = source.matchAll(/ogger(?:\.child\([^)]*\))?(?:\.(trace|debug|info|warn|error|fatal)|\[level\])\(/g)
  return [...calls].map((call) => {
    const text = lastText(source.slice(call.index + call[0].length)) ?? call[0]
    const parts = text.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    return { level: call[1], text, pattern: new RegExp(`^${parts.join('.+')}$`) }
  })
}

/** The last quoted text before the parenthesis that is open at the beginning is closed. */
function lastText(source: string): string | undefined {
  let last: string | undefined
  let depth = 1
  for (const [token] of source.matchAll(/'(?:[^'\\]|\\.)*'|`(?:\$\{[^}]*\}|[^`\\]|\\.)*`|[()]/g)) {
    if (token === '(') depth += 1
    else if (token === ')') depth -= 1
    else last = token.slice(1, -1)
    if (depth === 0) break
  }
  return last
}
