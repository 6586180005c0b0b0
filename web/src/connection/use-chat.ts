// How components read the chat. Each component selects a part of the state, and renders again only when that part is
// another object.
import type { ConnectionState, SessionView, TurnView } from '@parley/client'
import { createContext, use, useState, useSyncExternalStore } from 'react'
import type { Chat, Room } from './chat.ts'

export const ChatContext = createContext<Chat | undefined>(undefined)

export function useChat(): Chat {
  const chat = use(ChatContext)
  if (chat === undefined) throw new Error('useChat must be called inside ChatContext.')
  return chat
}

export function useRoom(): Room {
  const chat = useChat()
  return useSyncExternalStore(chat.subscribe, () => chat.room)
}

/** @param select must return the same object for the same view */
export function useView<T>(select: (view: SessionView) => T): T {
  const { view } = useRoom()
  return useSyncExternalStore(view.subscribe, () => select(view.state))
}

/** The shown turns. The array stays the same while only answers grow: `turn.run` may be older than the session's. */
export function useTurns(): readonly TurnView[] {
  const [keep] = useState(keepTurns)
  return useView((view) => keep(view.turns))
}

/** A function that returns earlier turns, and an earlier array, for turns that differ only in their runs. */
function keepTurns(): (turns: readonly TurnView[]) => readonly TurnView[] {
  let kept: readonly TurnView[] = []
  return (turns) => {
    const next = turns.map((turn, at) => {
      const before = kept[at]
      const isSame =
        before?.message === turn.message && before.after === turn.after && before.versions === turn.versions
      return isSame ? before : turn
    })
    if (next.length !== kept.length || next.some((turn, at) => turn !== kept[at])) kept = next
    return kept
  }
}

export function useConnection<T>(select: (state: ConnectionState) => T): T {
  const { connection } = useChat()
  return useSyncExternalStore(connection.subscribe, () => select(connection.state))
}
