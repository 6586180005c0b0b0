// docs/operations.md explains every message that the server logs, at its level, and no other.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = new URL('..', import.meta.url)
const guide = readFileSync(new URL('docs/operations.md', root), 'utf8')

describe('the table of log messages', () => {
  const rows = [...guide.matchAll(/^\| (\w+) \| `([^`]+)` \|/gm)].map(([, level, message]) => ({ level, message }))
  const logged = [...sources(fileURLToPath(new URL('server/', root)))].flatMap((path) =>
    logLines(readFileSync(path, 'utf8')),
  )

  it('explains each logged message at its level', () => {
    expect(logged.length).toBeGreaterThan(30)
    const unexplained = logged.filter(({ level, pattern }) => {
      return !rows.some((row) => pattern.test(row.message ?? '') && (level === undefined || level === row.level))
    })
    expect(unexplained.map(({ text }) => text)).toEqual([])
  })

  it('explains no message that is not logged', () => {
    const unused = rows.filter(({ message }) => !logged.some(({ pattern }) => pattern.test(message ?? '')))
    expect(unused.map(({ message }) => message)).toEqual([])
  })
})

/** The source files of a running server. */
function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}${entry.name}`
    if (entry.isDirectory()) {
      if (!['dist', 'bench', 'test', 'node_modules'].includes(entry.name)) yield* sources(`${path}/`)
    } else if (/(?<!\.(test|contract|property|d))\.ts$/.test(entry.name)) yield path
  }
}

interface LogLine {
  /** Undefined if the code selects it at run time. */
  readonly level: string | undefined
  readonly text: string
  readonly pattern: RegExp
}

/** The calls of a logger in a source file. The last string of a call is its message. */
function logLines(source: string): LogLine[] {
  const calls = source.matchAll(/ogger\??(?:\.child\([^)]*\))?(?:\.(trace|debug|info|warn|error|fatal)|\[level\])\(/g)
  return [...calls].map((call) => {
    const text = lastText(source.slice(call.index + call[0].length)) ?? call[0]
    const parts = text.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    return { level: call[1], text, pattern: new RegExp(`^${parts.join('.+')}$`) }
  })
}

/** The last string before the parenthesis closes that is open at the start of the text. */
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
