// EditBox: edits an earlier message in its place. Enter sends it as a new version, Escape cancels.
import { createContext, type KeyboardEvent, type ReactNode, use, useEffect, useMemo, useRef, useState } from 'react'
import { Icon } from '../shared/icon.tsx'
import { isInputMethodKey } from '../shared/input-method.ts'
import { TextBox } from '../shared/text-box.tsx'

/** The message that is being edited, and its new text. */
export interface Editing {
  /** The message's id. */
  readonly id: string
  readonly text: string
}

interface Editor {
  readonly editing: Editing | undefined
  /** @param editing undefined ends editing */
  readonly edit: (editing: Editing | undefined) => void
}

/** A context around the conversation and the composer: the edited message may be scrolled out of the page and unmounted. */
const EditContext = createContext<Editor>({ editing: undefined, edit: () => undefined })

export function EditProvider({ children }: { readonly children: ReactNode }) {
  const [editing, edit] = useState<Editing>()
  const editor = useMemo(() => ({ editing, edit }), [editing])
  return <EditContext value={editor}>{children}</EditContext>
}

export function useEditing(): Editor {
  return use(EditContext)
}

interface Props {
  readonly text: string
  readonly onChange: (text: string) => void
  readonly onSend: () => void
  readonly onCancel: () => void
}

export function EditBox({ text, onChange, onSend, onCancel }: Props) {
  const input = useRef<HTMLTextAreaElement>(null)
  const blank = text.trim() === ''
  useEffect(() => {
    const box = input.current
    box?.focus()
    box?.setSelectionRange(box.value.length, box.value.length)
  }, [])
  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    if (isInputMethodKey(event)) return
    if (event.key === 'Escape') {
      // Otherwise Escape would also stop the answer.
      event.preventDefault()
      onCancel()
    } else if (event.key === 'Enter' && !event.shiftKey && event.target === input.current) {
      event.preventDefault()
      if (!blank) onSend()
    }
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys of the parts.
    <div className='edit-box' onKeyDown={onKeyDown}>
      <TextBox ref={input} value={text} aria-label='Edited text' enterKeyHint='send' onChange={onChange} />
      <div className='buttons'>
        <button type='button' className='button quiet' onClick={onCancel}>
          Cancel
        </button>
        <button type='button' className='button primary' disabled={blank} onClick={onSend}>
          <Icon name='send' /> Send
        </button>
      </div>
    </div>
  )
}
