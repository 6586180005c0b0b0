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

/** A text that is searched. */
export interface Searched {
  /** The same object as long as the text is the same. */
  readonly key: object
  text(): string
}

/** @returns counts the matches in a text, and remembers the number as long as its key exists */
export function matchCounter({ pattern }: Query): (searched: Searched) => number {
  const known = new WeakMap<object, number>()
  return (searched) => {
    const before = known.get(searched.key)
    if (before !== undefined) return before
    const count = [...textOf(searched).matchAll(pattern)].length
    known.set(searched.key, count)
    return count
  }
}

/** The texts, for the next query. */
const texts = new WeakMap<object, string>()

function textOf(searched: Searched): string {
  const before = texts.get(searched.key)
  if (before !== undefined) return before
  const text = searched.text()
  texts.set(searched.key, text)
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
  /** The index of the turn, and of the part in it. */
  readonly turn: number
  readonly part: number
  /** The number of the match in its part, from 0. */
  readonly nth: number
}

/** The matches in each part of each turn. */
export type Counts = readonly (readonly number[])[]

/** @param at the number of a match, from 0 */
export function placeOf(counts: Counts, at: number): Place | undefined {
  let nth = at
  for (const [turn, parts] of counts.entries()) {
    for (const [part, count] of parts.entries()) {
      if (nth < count) return { turn, part, nth }
      nth -= count
    }
  }
  return undefined
}

export function sumOf(counts: Counts): number {
  return counts.flat().reduce((all, count) => all + count, 0)
}

/** The number of the first match in this turn or a later one, else 0. */
export function firstFrom(counts: Counts, turn: number): number {
  const before = sumOf(counts.slice(0, turn))
  return before < sumOf(counts) ? before : 0
}
