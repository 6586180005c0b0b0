// TypingIndicator: who is typing, above the composer. It is an overlay, so nothing moves when it appears. Screen
// readers announce it politely, and do not announce when it disappears.
import { typingNote } from './presence-note.ts'
import { usePresence } from './use-people.ts'

export function TypingIndicator() {
  const note = typingNote(usePresence().people)
  return (
    <p className={note === '' ? 'typing none' : 'typing'}>
      <span role='status' aria-label='Typing'>
        {note}
      </span>
    </p>
  )
}
