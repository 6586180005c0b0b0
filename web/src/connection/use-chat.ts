// How components read the chat. Each component selects a part of the state, and renders again only when that part is
// another object.
import type { ConnectionState, SessionView } from '@parley/client'
import { useConnection as useClientConnection, useSessionState } from '@parley/react'
import { createContext, use, useSyncExternalStore } from 'react'
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
  return useSessionState(useRoom().session, select)
}

export function useConnection<T>(select: (state: ConnectionState) => T): T {
  return useClientConnection(useChat().client, select)
}
