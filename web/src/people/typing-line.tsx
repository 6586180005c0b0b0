// TypingLine: who writes, over the composer, where nothing moves when it comes and goes. A screen reader is told of it when
// it is done with other things, and not that it ended.
import { typingNote } from './presence-note.ts'
import { useHere } from './use-presence.ts'

export function TypingLine() {
  const { here } = useHere()
  const note = typingNote(here)
  return (
    <p className={note === '' ? 'typing none' : 'typing'}>
      <span role='status' aria-label='Who writes'>
        {note}
      </span>
    </p>
  )
}
