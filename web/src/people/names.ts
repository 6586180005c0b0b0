// Names: users' display names, initials and colours. Pure.
import type { PeopleState } from './people.ts'

/** The user of every client if the server runs without authentication. */
export const ANONYMOUS = 'anonymous'

/** @param connectionName the name that the user's connection reports */
export function nameOf(people: PeopleState, user: string, connectionName?: string): string {
  return people.members.get(user)?.name ?? connectionName ?? user
}

/** One or two characters as people see them, from the first and the last word. */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter((word) => word !== '')
  const [first, last] = [words[0], words.length > 1 ? words.at(-1) : undefined]
  const letters = [first, last].map((word) => new Intl.Segmenter().segment(word ?? '').containing(0)?.segment).join('')
  return letters === '' ? '?' : letters.toUpperCase()
}

export const HUES = 8

/** The index of the user's colour, which is the same on every page. */
export function hueOf(user: string): number {
  let sum = 7
  for (const char of user) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 65_521
  return sum % HUES
}
