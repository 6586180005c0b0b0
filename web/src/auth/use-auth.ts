// How components read the entrance.
import { createContext, use, useSyncExternalStore } from 'react'
import type { Entrance, EntranceState } from './auth.ts'

export const EntranceContext = createContext<Entrance | undefined>(undefined)

export function useEntrance(): { readonly entrance: Entrance; readonly state: EntranceState } {
  const entrance = use(EntranceContext)
  if (entrance === undefined) throw new Error('Components of the page stand inside of EntranceContext.')
  const state = useSyncExternalStore(entrance.subscribe, () => entrance.state)
  return { entrance, state }
}
