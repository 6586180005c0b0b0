// EditBox: an earlier message while it is edited, in its own place. Enter sends it as another version, Escape leaves it.
import { type KeyboardEvent, useEffect, useRef } from 'react'
import { Icon } from '../shared/icon.tsx'

interface Props {
  readonly text: string
  readonly onChange: (text: string) => void
  readonly onSend: () => void
  readonly onLeave: () => void
}

export function EditBox({ text, onChange, onSend, onLeave }: Props) {
  const input = useRef<HTMLTextAreaElement>(null)
  const blank = text.trim() === ''
  useEffect(() => {
    const box = input.current
    box?.focus()
    box?.setSelectionRange(box.value.length, box.value.length)
  }, [])
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    // While an input method composes, Enter and Escape are its own.
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Escape') {
      // Elsewhere on the page it stops an answer.
      event.preventDefault()
      onLeave()
    } else if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      if (!blank) onSend()
    }
  }
  return (
    <div className='edit-box'>
      <div className='composer-input' data-value={text}>
        <textarea
          ref={input}
          value={text}
          rows={1}
          aria-label='Edited text'
          enterKeyHint='send'
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={onKeyDown}
        />
      </div>
      <div className='buttons'>
        <button type='button' className='button quiet' onClick={onLeave}>
          Cancel
        </button>
        <button type='button' className='button primary' disabled={blank} onClick={onSend}>
          <Icon name='send' /> Send edit
        </button>
      </div>
    </div>
  )
}
