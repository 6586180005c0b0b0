// useSender: sends messages, and keeps those that the server refused, so that no text is lost.
import { ParleyError } from '@parley/client'
import { useCallback, useState } from 'react'
import { useRoom } from './use-chat.ts'

/** What becomes of the answer that is being given: it is interrupted, or the message waits for its end. */
export type Manner = 'now' | 'after'

/** A message that the server refused. */
export interface Unsent {
  readonly id: string
  readonly text: string
  readonly manner: Manner
  readonly reason: string
}

export interface Sender {
  readonly send: (text: string, manner: Manner) => void
  readonly unsent: readonly Unsent[]
  readonly retry: (unsent: Unsent) => void
  readonly dismiss: (unsent: Unsent) => void
  /** How often something was sent: the conversation shows its end after each. */
  readonly sends: number
}

export function useSender(): Sender {
  const { session } = useRoom()
  const [unsent, setUnsent] = useState<readonly Unsent[]>([])
  const [sends, setSends] = useState(0)
  const dismiss = useCallback((gone: Unsent) => {
    setUnsent((list) => list.filter((other) => other.id !== gone.id))
  }, [])
  const send = useCallback(
    (text: string, manner: Manner) => {
      // The active run is looked up now, and not when the page was last painted.
      const interrupts = manner === 'now' && session.state.activeRun !== undefined
      const reply = interrupts ? session.redirect(text) : session.send(text)
      setSends((count) => count + 1)
      reply.accepted.catch((error: unknown) => {
        if (error instanceof ParleyError && error.code === 'closed') return
        const reason = error instanceof Error ? error.message : 'The message was not sent.'
        setUnsent((list) => [...list, { id: reply.command, text, manner, reason }])
      })
    },
    [session],
  )
  const retry = useCallback(
    (again: Unsent) => {
      dismiss(again)
      send(again.text, again.manner)
    },
    [dismiss, send],
  )
  return { send, unsent, retry, dismiss, sends }
}
