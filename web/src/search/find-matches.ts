// FindMatches: how often the texts of a conversation contain what the user looks for. Pure.
import { plainLine } from '@parley/protocol/title'

export interface Query {
  /** Global and case-insensitive. */
  readonly pattern: RegExp
}

const MAX_CHARACTERS = 200

/** White space matches any white space. @returns undefined for white space alone */
export function queryOf(text: string): Query | undefined {
  const words = text.slice(0, MAX_CHARACTERS).split(/\s+/).filter(Boolean).map(escaped)
  if (words.length === 0) return undefined
  return { pattern: new RegExp(words.join('\\s+'), 'giu') }
}

function escaped(word: string): string {
  return word.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

/** @returns counts the matches in a part, and remembers the number as long as the part exists */
export function matchCounter({ pattern }: Query): (part: { readonly text: string }) => number {
  const known = new WeakMap<object, number>()
  return (part) => {
    const before = known.get(part)
    if (before !== undefined) return before
    const count = [...textOf(part).matchAll(pattern)].length
    known.set(part, count)
    return count
  }
}

/** The shown texts of parts, for the next query. */
const texts = new WeakMap<object, string>()

function textOf(part: { readonly text: string }): string {
  const before = texts.get(part)
  if (before !== undefined) return before
  const text = shownText(part.text)
  texts.set(part, text)
  return text
}

/** Markdown about as the page shows it, so that nobody finds the addresses of links, or fences. */
export function shownText(markdown: string): string {
  let fence: string | undefined
  return markdown
    .split('\n')
    .map((line) => {
      const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1]
      if (mark === undefined) return fence === undefined ? plainLine(line) : line
      if (fence === undefined) fence = mark
      else if (mark.startsWith(fence)) fence = undefined
      else return line
      return ''
    })
    .join('\n')
}

export interface Place {
  /** The index of the turn. */
  readonly turn: number
  /** The number of the match in its turn, from 0. */
  readonly nth: number
}

/** @param counts the matches in each turn @param at the number of a match, from 0 */
export function placeOf(counts: readonly number[], at: number): Place | undefined {
  let nth = at
  for (const [turn, count] of counts.entries()) {
    if (nth < count) return { turn, nth }
    nth -= count
  }
  return undefined
}

/** The number of the first match in this turn or a later one, else 0. */
export function firstFrom(counts: readonly number[], turn: number): number {
  const sum = (some: readonly number[]): number => some.reduce((all, count) => all + count, 0)
  const before = sum(counts.slice(0, turn))
  return before < sum(counts) ? before : 0
}
