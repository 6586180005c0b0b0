// Announcer: announces the latest answer to screen readers: its start, its sentences, its approvals and its end. It
// skips everything that was there when the page opened.
import { type CallView, childRuns, isEnded, openQuestion, type RunView, type SessionView } from '@parley/client'
import { perFrame, type Source } from '@parley/react'
import { useEffect, useState } from 'react'
import { useRoom } from '../connection/use-chat.ts'
import { nameOf } from '../people/names.ts'
import { LongText } from '../shared/long-text.tsx'
import { decisionNote } from './call-note.ts'
import { callsOf } from './calls-of.ts'
import { runNote } from './run-note.ts'
import { type Inside, nextAnnouncement, spokenText } from './spoken-text.ts'

interface Line {
  readonly key: number
  readonly text: string
}

/** The number of lines in the page. Screen readers announce only added lines. */
const MAX_LINES = 4

export function Announcer() {
  const { session, people } = useRoom()
  const [lines, setLines] = useState<readonly Line[]>([])
  useEffect(
    () =>
      announce(
        perFrame(session),
        (user) => nameOf(people.state, user),
        (text) => setLines((old) => [...old, { key: (old.at(-1)?.key ?? 0) + 1, text }].slice(-MAX_LINES)),
      ),
    [session, people],
  )
  return (
    <div className='unseen' role='log' aria-live='polite' aria-relevant='additions' aria-label='Latest answer'>
      {lines.map((line) => (
        <p key={line.key}>
          <LongText text={line.text} />
        </p>
      ))}
    </div>
  )
}

/** @param displayName a user's name @param say adds a line @returns a function that stops the announcements */
function announce(
  view: Source<SessionView>,
  displayName: (user: string) => string,
  say: (text: string) => void,
): () => void {
  let run: RunView | undefined
  let spoken = 0
  let inside: Inside
  const approvals = new Map<string, string>()
  // If a run is streaming when the page opens, only its further text is announced.
  let wasLive = view.getSnapshot().status === 'live'
  const update = (): void => {
    const state = view.getSnapshot()
    const { status, activeRun, runs, turns } = state
    if (status !== 'live') return
    const id = run === undefined || isEnded(run) ? activeRun : run.id
    const found = id === undefined ? undefined : runs.get(id)
    // Runs in other branches are not announced.
    const isVisible = turns.findLast(({ message }) => message.id === found?.message) !== undefined
    const next = isVisible ? found : undefined
    if (next !== undefined && next.id !== run?.id) {
      spoken = wasLive ? 0 : next.text.length
      inside = undefined
      approvals.clear()
      if (wasLive) say('Answer started.')
    }
    if (next !== undefined && run?.id === next.id && run.status !== 'queued' && run.agent !== next.agent) {
      say(`${next.agent} continues.`)
    }
    if (next !== undefined) announceApprovals(state, next, approvals, displayName, say)
    if (next !== undefined && next !== run) {
      run = next
      spoken = Math.min(spoken, next.text.length)
      const announcement = nextAnnouncement(next.text, spoken, isEnded(next))
      spoken = announcement.spoken
      const words = spokenText(announcement.text, inside)
      inside = words.inside
      if (words.text !== '') say(words.text)
      if (isEnded(next) && next.status !== 'completed') say(runNote(next, [], undefined, displayName).text)
    }
    wasLive = true
  }
  const unsubscribe = view.subscribe(update)
  update()
  return unsubscribe
}

/** Announces calls that need approval, decisions, and questions, of the run and its child runs. @param announced each call's last announcement; it is updated */
function announceApprovals(
  view: SessionView,
  run: RunView,
  announced: Map<string, string>,
  displayName: (user: string) => string,
  say: (text: string) => void,
): void {
  for (const each of [run, ...childRuns(view, run)]) {
    const who = each === run ? '' : `${each.agent ?? 'An agent'}: `
    for (const call of callsOf(view, each)) {
      const text = approvalNote(call, displayName)
      if (text === undefined || announced.get(call.id) === text) continue
      say(`${who}${text}`)
      announced.set(call.id, text)
    }
  }
}

function approvalNote(call: CallView, displayName: (user: string) => string): string | undefined {
  if (call.status === 'deciding') return `${call.name} needs approval.`
  const question = openQuestion(call)
  if (question !== undefined) return `${call.name} asks: ${question.message}`
  const decision = decisionNote(call, undefined, displayName)
  return decision && `${call.name}: ${decision}`
}
