// useSender: the room's sender, as components read it.
import { useSyncExternalStore } from 'react'
import type { Sender, SenderState } from './sender.ts'
import { useRoom } from './use-chat.ts'

export function useSender(): { readonly sender: Sender; readonly state: SenderState } {
  const { sender } = useRoom()
  const state = useSyncExternalStore(sender.subscribe, () => sender.state)
  return { sender, state }
}
