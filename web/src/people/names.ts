// Names: how people are called, and what stands in their circle when there is room for two letters only. Pure.
import type { PeopleState } from './people.ts'

/** Whom the server calls so needs no token, and nobody is told apart. */
export const ANONYMOUS = 'anonymous'

/** @param said a name that came with the person's own connection */
export function nameOf(people: PeopleState, user: string, said?: string): string {
  return people.members.get(user)?.name ?? said ?? user
}

/** One or two letters: of the first and the last word. */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter((word) => word !== '')
  const [first, last] = [words[0], words.length > 1 ? words.at(-1) : undefined]
  const letters = [first, last].map((word) => (word === undefined ? '' : [...word][0])).join('')
  return letters === '' ? '?' : letters.toUpperCase()
}

export const HUES = 8

/** Which of the page's colours a person has: the same everywhere. */
export function hueOf(user: string): number {
  let sum = 7
  for (const char of user) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 65_521
  return sum % HUES
}
