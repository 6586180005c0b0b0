// Announcer: tells screen readers of the newest answer: that it began, its sentences, and how it ended. What was
// there when the page came is not announced.
import { isEnded, type RunView, type SessionView } from '@parley/client'
import { useEffect, useState } from 'react'
import type { Painted } from './painted.ts'
import { runNote } from './run-note.ts'
import { nextSpeech } from './speech.ts'
import { useRoom } from './use-chat.ts'

interface Line {
  readonly key: number
  readonly text: string
}

/** Lines that stay in the page; readers are told of additions only. */
const KEPT = 4

export function Announcer() {
  const { view } = useRoom()
  const [lines, setLines] = useState<readonly Line[]>([])
  useEffect(
    () => listen(view, (text) => setLines((old) => [...old, { key: (old.at(-1)?.key ?? 0) + 1, text }].slice(-KEPT))),
    [view],
  )
  return (
    <div className='unseen' role='log' aria-live='polite' aria-relevant='additions' aria-label='Newest answer'>
      {lines.map((line) => (
        <p key={line.key}>{line.text}</p>
      ))}
    </div>
  )
}

function listen(view: Painted<SessionView>, say: (text: string) => void): () => void {
  let run: RunView | undefined
  let spoken = 0
  // The run that speaks when the page comes: only what it says from now on.
  let wasLive = view.shown.status === 'live'
  const look = (): void => {
    const { status, activeRun, runs } = view.shown
    if (status !== 'live') return
    const id = run === undefined || isEnded(run) ? activeRun : run.id
    const next = id === undefined ? undefined : runs.get(id)
    if (next !== undefined && next !== run) {
      if (next.id !== run?.id) {
        spoken = wasLive ? 0 : next.text.length
        if (wasLive) say('An answer begins.')
      }
      run = next
      spoken = Math.min(spoken, next.text.length)
      const speech = nextSpeech(next.text, spoken, isEnded(next))
      spoken = speech.spoken
      if (speech.say !== '') say(speech.say)
      if (isEnded(next) && next.status !== 'completed') say(runNote(next, [], undefined).text)
    }
    wasLive = true
  }
  look()
  return view.subscribe(look)
}
