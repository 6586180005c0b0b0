// How components read the members, the presence and the user's own role.
import { useMemo } from 'react'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { useStore } from '../shared/store.ts'
import { ANONYMOUS, nameOf } from './names.ts'
import type { PeopleState } from './people.ts'
import { groupByPerson, type PresentPerson } from './presence-note.ts'
import { mayDo, type Permission } from './roles.ts'

export function usePeople(): PeopleState {
  return useStore(useRoom().people)
}

export function usePresence(): { readonly people: readonly PresentPerson[]; readonly count: number } {
  const { connections, count } = useStore(useRoom().presence)
  const members = usePeople()
  const user = useConnection((state) => state.user)
  const connection = useConnection((state) => state.connection)
  const people = useMemo(
    () => groupByPerson(connections, { user, connection }, (other, name) => nameOf(members, other, name)),
    [connections, user, connection, members],
  )
  return { people, count }
}

/** Whether the server authenticates users; false until that is known. */
export function useHasPeople(): boolean {
  const user = useConnection((state) => state.user)
  return user !== undefined && user !== ANONYMOUS
}

/** The user's role from the list of members, else from when the session was opened. */
export function useRole(): string | undefined {
  const user = useConnection((state) => state.user)
  const attached = useView((view) => view.role)
  const { members } = usePeople()
  return (user === undefined ? undefined : members.get(user)?.role) ?? attached
}

export function useMay(permission: Permission): boolean {
  return mayDo(useRole(), permission)
}

/** A message's author: a name, or `You`. */
export function useAuthor(user: string): string {
  const self = useConnection((state) => state.user)
  const people = usePeople()
  // Without authentication all messages have the same author.
  return user === ANONYMOUS || user === self ? 'You' : nameOf(people, user)
}
