// The examples in the doc comments of the SDK's public API, as a test finds and runs them.
import { readFileSync } from 'node:fs'
import * as sdk from '../index.ts'

export interface DocExample {
  /** The file, and the line that the comment documents. */
  readonly name: string
  /** Whether it is a public function or method, which needs an example. */
  readonly isCallable: boolean
  /** JavaScript; undefined if the comment has no example. */
  readonly code: string | undefined
}

/** By file, the lines of its public functions and methods. Functions of the other files count if the SDK exports them. */
const METHODS: Readonly<Record<string, RegExp>> = {
  'parley-client': /^ {2}(?!constructor)(async )?\w+\(|^ {2}readonly \w+ = \(/,
  'session/session': /^ {2}(?!execute)\w+\(|^ {2}readonly \w+: \(/,
  'session/reply': /^ {2}async \*?\w/,
}
const VIEWS = ['session-presence', 'tool', 'apply-entry', 'branch', 'run-view', 'call-view', 'session-view']
const FILES = [...Object.keys(METHODS), 'parley-error', ...VIEWS.map((name) => `session/${name}`)]

export function docExamples(): readonly DocExample[] {
  return FILES.flatMap((file) => {
    const source = readFileSync(new URL(`../${file}.ts`, import.meta.url), 'utf8')
    return [...source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n(.*)/g)].map(([, comment = '', line = '']) => ({
      name: `${file}: ${line.trim()}`,
      isCallable: METHODS[file]?.test(line) ?? (/^export function (\w+)/.exec(line)?.[1] ?? '') in sdk,
      code: /@example\s([\s\S]*?)(?=\n@|$)/.exec(comment.replaceAll(/^ *\* ?/gm, ''))?.[1],
    }))
  })
}

/** The code with requests that the demo model answers quickly; a long one takes its time. */
export function forDemoModel(code: string): string {
  return code.replaceAll(/(?<=\(|, )'[A-Z][\w ]+'/g, (text) => {
    return text.includes('long') ? "'/demo count=1000 rate=50'" : "'/demo count=3 rate=0'"
  })
}
