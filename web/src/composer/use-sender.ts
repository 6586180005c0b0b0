// useSender: the room's sender, as components read it.
import { useSyncExternalStore } from 'react'
import { useRoom } from '../connection/use-chat.ts'
import type { Sender, SenderState } from './sender.ts'

export function useSender(): { readonly sender: Sender; readonly state: SenderState } {
  const { sender } = useRoom()
  const state = useSyncExternalStore(sender.subscribe, () => sender.state)
  return { sender, state }
}
