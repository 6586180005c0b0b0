// How components read who is here.
import { useMemo, useSyncExternalStore } from 'react'
import { useConnection, useRoom } from '../connection/use-chat.ts'
import { nameOf } from './names.ts'
import { type Here, hereOf } from './presence-note.ts'
import { usePeople } from './use-people.ts'

export function useHere(): { readonly here: readonly Here[]; readonly count: number } {
  const { presence } = useRoom()
  const { watchers, count } = useSyncExternalStore(presence.subscribe, () => presence.state)
  const people = usePeople()
  const user = useConnection((state) => state.user)
  const connection = useConnection((state) => state.connection)
  const here = useMemo(
    () => hereOf(watchers, { user, connection }, (other, said) => nameOf(people, other, said)),
    [watchers, user, connection, people],
  )
  return { here, count }
}
