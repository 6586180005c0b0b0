// useDraft: what is being written in a session, as its composer shows it.
import { useCallback, useState } from 'react'
import { useChat } from '../connection/use-chat.ts'

export function useDraft(session: string): readonly [string, (text: string) => void] {
  const { drafts } = useChat()
  const [draft, setDraft] = useState(() => drafts.read(session))
  const write = useCallback(
    (text: string) => {
      setDraft(text)
      drafts.write(session, text)
    },
    [drafts, session],
  )
  return [draft, write]
}
