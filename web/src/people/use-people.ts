// How components read who is here and who they are themselves.
import { useSyncExternalStore } from 'react'
import { useConnection, useRoom, useView } from '../connection/use-chat.ts'
import { ANONYMOUS, nameOf } from './names.ts'
import type { PeopleState } from './people.ts'
import { mayDo, type Permission } from './roles.ts'

export function usePeople(): PeopleState {
  const { people } = useRoom()
  return useSyncExternalStore(people.subscribe, () => people.state)
}

/** Whether people are told apart here at all; false until that is known. */
export function useHasPeople(): boolean {
  const user = useConnection((state) => state.user)
  return user !== undefined && user !== ANONYMOUS
}

/** This person's role: as the members have it, else as it was when the session was opened. */
export function useRole(): string | undefined {
  const user = useConnection((state) => state.user)
  const attached = useView((view) => view.role)
  const { members } = usePeople()
  return (user === undefined ? undefined : members.get(user)?.role) ?? attached
}

export function useMay(permission: Permission): boolean {
  return mayDo(useRole(), permission)
}

/** What people call somebody; `You` for who reads this. */
export function useAuthor(user: string): string {
  const self = useConnection((state) => state.user)
  const people = usePeople()
  // Where nobody has a name, names say nothing.
  return user === ANONYMOUS || user === self ? 'You' : nameOf(people, user)
}
