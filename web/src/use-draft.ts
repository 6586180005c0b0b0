// useDraft: what is being written, kept for this tab across a reload.
import { useCallback, useState } from 'react'

export function useDraft(session: string): readonly [string, (text: string) => void] {
  const key = `parley.draft.${session}`
  const [draft, setDraft] = useState(() => read(key))
  const write = useCallback(
    (text: string) => {
      setDraft(text)
      store(key, text)
    },
    [key],
  )
  return [draft, write]
}

function read(key: string): string {
  try {
    return sessionStorage.getItem(key) ?? ''
  } catch {
    // Storage is denied to this page: the draft lives as long as the page does.
    return ''
  }
}

function store(key: string, text: string): void {
  try {
    if (text === '') sessionStorage.removeItem(key)
    else sessionStorage.setItem(key, text)
  } catch {
    // Denied, or full: as above.
  }
}
