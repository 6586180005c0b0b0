// PresenceNote: groups the connections of a session by person, and says who is typing. Pure.
import { ANONYMOUS } from './names.ts'

export interface PresentConnection {
  readonly user: string
  readonly connection: string
  readonly name?: string | undefined
  readonly device?: string | undefined
  readonly typing: boolean
}

/** A user with all their connections. Without authentication each connection is a person. */
export interface PresentPerson {
  readonly key: string
  readonly user: string
  readonly name: string
  readonly devices: readonly string[]
  readonly typing: boolean
  readonly isSelf: boolean
}

/**
 * @param self the page's own user and connection
 * @param displayName a user's name in the session
 */
export function groupByPerson(
  connections: readonly PresentConnection[],
  self: { readonly user?: string | undefined; readonly connection?: string | undefined },
  displayName: (user: string, connectionName?: string) => string,
): readonly PresentPerson[] {
  const people = new Map<string, PresentPerson>()
  for (const { user, connection, name, device, typing } of connections) {
    const isGuest = user === ANONYMOUS
    const key = isGuest ? connection : user
    const known = people.get(key)
    // This page ignores its own typing.
    const isTyping = typing && connection !== self.connection
    people.set(key, {
      key,
      user,
      name: isGuest ? 'Guest' : displayName(user, name),
      devices: [...new Set([...(known?.devices ?? []), ...(device === undefined ? [] : [device])])],
      typing: isTyping || (known?.typing ?? false),
      isSelf: isGuest ? connection === self.connection : user === self.user,
    })
  }
  return [...people.values()].sort((a, b) => Number(b.isSelf) - Number(a.isSelf))
}

/** @returns '' while nobody else is typing */
export function typingNote(people: readonly PresentPerson[]): string {
  const typing = people.filter((person) => person.typing)
  const names = typing.filter(({ isSelf }) => !isSelf).map(({ name }) => name)
  if (names.length === 0) return typing.length === 0 ? '' : 'You’re typing on another device'
  if (names.length === 1) return `${names[0]} is typing`
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing`
  return `${names.length} people are typing`
}
