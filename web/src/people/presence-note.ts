// PresenceNote: who is here, folded from connections into people, and said in words. Pure.
import { ANONYMOUS } from './names.ts'

/** A connection that is here. */
export interface Watcher {
  readonly user: string
  readonly connection: string
  readonly name?: string | undefined
  readonly device?: string | undefined
  readonly typing: boolean
}

/** Somebody with all their connections; where nobody is told apart, each connection is somebody. */
export interface Here {
  readonly key: string
  readonly user: string
  readonly name: string
  readonly devices: readonly string[]
  readonly typing: boolean
  readonly isSelf: boolean
}

/**
 * @param self the page's own user and connection
 * @param called a user's name in the session
 */
export function hereOf(
  watchers: readonly Watcher[],
  self: { readonly user?: string | undefined; readonly connection?: string | undefined },
  called: (user: string, said?: string) => string,
): readonly Here[] {
  const here = new Map<string, Here>()
  for (const { user, connection, name, device, typing } of watchers) {
    const isNobody = user === ANONYMOUS
    const key = isNobody ? connection : user
    const isSelf = isNobody ? connection === self.connection : user === self.user
    const known = here.get(key)
    // What is typed on this very page is no news to it.
    const types = typing && connection !== self.connection
    here.set(key, {
      key,
      user,
      name: isNobody ? 'Somebody' : called(user, name),
      devices: [...new Set([...(known?.devices ?? []), ...(device === undefined ? [] : [device])])],
      typing: types || (known?.typing ?? false),
      isSelf,
    })
  }
  return [...here.values()].sort((a, b) => Number(b.isSelf) - Number(a.isSelf))
}

const NAMED = 2

/** @returns '' while nobody else writes */
export function typingNote(here: readonly Here[]): string {
  const writing = here.filter(({ typing }) => typing)
  const others = writing.filter(({ isSelf }) => !isSelf)
  if (others.length === 0) return writing.length === 0 ? '' : 'You are writing on another device'
  const names = others.map(({ name }) => name)
  if (names.length === 1) return `${names[0]} is writing`
  if (names.length === NAMED) return `${names[0]} and ${names[1]} are writing`
  return `${names.length} people are writing`
}
