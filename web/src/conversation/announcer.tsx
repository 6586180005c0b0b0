// Announcer: tells screen readers of the newest answer: that it began, its sentences, what it asks for, and how it
// ended. What was there when the page came is not announced.
import { isEnded, type RunView, type SessionView } from '@parley/client'
import { useEffect, useState } from 'react'
import { useRoom } from '../connection/use-chat.ts'
import { nameOf } from '../people/names.ts'
import type { Painted } from '../shared/frame-throttle.ts'
import { decisionNote } from './call-note.ts'
import { runNote } from './run-note.ts'
import { speakable } from './speakable.ts'
import { nextSpeech } from './speech.ts'

interface Line {
  readonly key: number
  readonly text: string
}

/** Lines that stay in the page; readers are told of additions only. */
const KEPT = 4

export function Announcer() {
  const { view, people } = useRoom()
  const [lines, setLines] = useState<readonly Line[]>([])
  useEffect(
    () =>
      listen(
        view,
        (user) => nameOf(people.state, user),
        (text) => setLines((old) => [...old, { key: (old.at(-1)?.key ?? 0) + 1, text }].slice(-KEPT)),
      ),
    [view, people],
  )
  return (
    <div className='unseen' role='log' aria-live='polite' aria-relevant='additions' aria-label='Newest answer'>
      {lines.map((line) => (
        <p key={line.key}>{line.text}</p>
      ))}
    </div>
  )
}

/** @param called what people call a user */
function listen(view: Painted<SessionView>, called: (user: string) => string, say: (text: string) => void): () => void {
  let run: RunView | undefined
  let spoken = 0
  let inCode = false
  let decided = new Map<string, string>()
  // The run that speaks when the page comes: only what it says from now on.
  let wasLive = view.shown.status === 'live'
  const look = (): void => {
    const { status, activeRun, runs, turns } = view.shown
    if (status !== 'live') return
    const id = run === undefined || isEnded(run) ? activeRun : run.id
    const found = id === undefined ? undefined : runs.get(id)
    // Nobody is read what somebody asked in another branch.
    const isShown = turns.findLast(({ message }) => message.id === found?.message) !== undefined
    const next = isShown ? found : undefined
    if (next !== undefined && next.id !== run?.id) {
      spoken = wasLive ? 0 : next.text.length
      inCode = false
      decided = new Map()
      if (wasLive) say('An answer begins.')
    }
    if (next !== undefined) decided = decisions(view.shown, next, decided, called, say)
    if (next !== undefined && next !== run) {
      run = next
      spoken = Math.min(spoken, next.text.length)
      const speech = nextSpeech(next.text, spoken, isEnded(next))
      spoken = speech.spoken
      const said = speakable(speech.say, inCode)
      inCode = said.inCode
      if (said.text !== '') say(said.text)
      if (isEnded(next) && next.status !== 'completed') say(runNote(next, [], undefined, called).text)
    }
    wasLive = true
  }
  look()
  return view.subscribe(look)
}

/** Says which calls wait for a person, and what was decided. @returns what is known now, by call */
function decisions(
  view: SessionView,
  run: RunView,
  known: Map<string, string>,
  called: (user: string) => string,
  say: (text: string) => void,
): Map<string, string> {
  for (const part of run.parts) {
    const call = part.type === 'tool' ? view.calls.get(part.call) : undefined
    if (call === undefined || !call.approval) continue
    const text =
      call.decision === undefined ? undefined : `${call.name}: ${decisionNote(call, undefined, called) ?? ''}`.trim()
    const now = call.status === 'deciding' ? `${call.name} needs an approval.` : text
    if (now !== undefined && known.get(call.id) !== now) say(now)
    if (now !== undefined) known.set(call.id, now)
  }
  return known
}
