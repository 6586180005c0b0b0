// applyEntry: a session's view after one more entry of its log. Pure; unchanged parts are shared. Every split of a log
// into replays, merged outputs, snapshots and live entries gives the same view. An entry that does not follow throws a
// GapError.
import type { EntryFrame, Event, EventOf } from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import { isAfter } from '@parley/protocol/position'
import { given } from '../given.ts'
import { withAnswer, withNewest, withTurns } from './branch.ts'
import { applyCallEvent, type CallView, dropped, isForClient, isSettled, type ToolEvent } from './call-view.ts'
import type { RunView } from './run-view.ts'
import * as run from './run-view.ts'
import { type MessageView, newSession, type SessionView, textOf } from './session-view.ts'

/** Drops the content: the session arrives again from its beginning. Pending messages remain. */
export function startOver(view: SessionView): SessionView {
  const { status, role, pending, faults } = view
  return withTurns({ ...newSession(view.id), status, role, pending, faults })
}

/**
 * The view after one more entry. Entries at or before the view's cursor change nothing.
 * @throws GapError if the entry does not follow; the given view stays valid
 * @example
 * const response = await fetch(`${url}/v1/sessions/trip/events`, { headers: { Accept: 'application/json' } })
 * const { entries } = await response.json()
 * let view = newSession('trip')
 * for (const entry of entries) view = applyEntry(view, entry)
 */
export function applyEntry(view: SessionView, frame: Pick<EntryFrame, 'cursor' | 'time' | 'event'>): SessionView {
  if (view.cursor !== undefined && !isAfter(frame.cursor, view.cursor)) return view
  const next = applyEvent(view, frame.time, frame.event)
  return { ...next, cursor: frame.cursor }
}

function applyEvent(view: SessionView, time: number, event: Event): SessionView {
  switch (event.type) {
    case 'run.output': {
      const before = runOf(view, event.run)
      const after = run.output(before, event)
      if (after === before) return { ...view, faults: view.faults + 1 }
      return withRun(view, after)
    }
    case 'run.started':
      return withRun(view, run.started(runOf(view, event.run, event.message), event))
    case 'run.handed':
      return withRun(view, { ...runOf(view, event.run), agent: event.to })
    case 'run.snapshot':
      return withRun(view, run.snapshot(runOf(view, event.run), event))
    case 'run.ended':
      return endRun(view, event)
    case 'message':
      return applyMessage(view, time, event)
    case 'tool.called':
    case 'tool.claimed':
    case 'tool.decided':
    case 'tool.asked':
    case 'tool.answered':
    case 'tool.result':
    case 'tool.progress':
      return applyToolEvent(view, event)
    case 'session.updated':
      return event.title === undefined ? view : { ...view, title: event.title }
    default:
      // Membership, and events of later protocol versions.
      return view
  }
}

function applyMessage(view: SessionView, time: number, event: EventOf<'message'>): SessionView {
  const message: MessageView = {
    id: event.id,
    author: event.author,
    content: event.content,
    text: textOf(event.content),
    time,
    policy: event.policy,
    run: event.run,
    ...given({ model: event.model, agent: event.agent, context: event.context }),
    parent:
      event.parent === undefined ? (view.messages.at(-1)?.id ?? (view.isPartial ? undefined : null)) : event.parent,
  }
  let next: SessionView = { ...view, title: view.title ?? event.title, messages: [...view.messages, message] }
  if (next.pending.some((pending) => pending.id === event.id)) {
    next = withTurns({ ...next, pending: next.pending.filter((pending) => pending.id !== event.id) })
  } else next = withNewest(next, message)
  const { seen } = event
  const seenRun = seen === undefined ? undefined : next.runs.get(seen.run)
  if (seenRun !== undefined && seen !== undefined) next = withRun(next, { ...seenRun, seen: seen.index })
  if (event.policy === 'interrupt') {
    for (const id of next.open) {
      const other = next.runs.get(id)
      if (other !== undefined && other.supersededBy === undefined) {
        next = withRun(next, { ...other, supersededBy: event.id })
      }
    }
  }
  const target = next.runs.get(event.run)
  if (target === undefined) return withRun(next, run.newRun(event.run, event.id, event.model))
  // A steering message. An interrupted or ended run takes no messages, so the message gets a run of its own.
  if (!run.isEnded(target) && target.supersededBy === undefined) return next
  return withRun(next, run.newRun(lateSteerRun(event.id), event.id, event.model))
}

function endRun(view: SessionView, event: EventOf<'run.ended'>): SessionView {
  const before = runOf(view, event.run)
  let next = withRun(view, run.ended(before, event))
  if (run.isEnded(before)) return next
  for (const part of next.runs.get(event.run)?.parts ?? []) {
    const call = part.type === 'tool' ? next.calls.get(part.call) : undefined
    if (call !== undefined && !isSettled(call)) next = withCall(next, dropped(call))
  }
  return event.reason === 'completed' ? withLateSteers(next, event.run) : next
}

/** Gives each steering message that a completed run did not take a run of its own. */
function withLateSteers(view: SessionView, id: string): SessionView {
  const steered = view.runs.get(id)?.steered ?? []
  let next = view
  for (const message of view.messages) {
    if (message.run !== id || message.policy !== 'steer' || steered.includes(message.id)) continue
    const late = lateSteerRun(message.id)
    // The run's own message may have asked to steer while no run was active.
    if (view.runs.get(id)?.message === message.id || view.runs.has(late)) continue
    next = withRun(next, run.newRun(late, message.id, message.model))
  }
  return next
}

function applyToolEvent(view: SessionView, event: ToolEvent): SessionView {
  const before = view.calls.get(event.call)
  if (before === undefined && event.type === 'tool.called' && run.isLate(runOf(view, event.run), event)) return view
  const call = applyCallEvent(before, event)
  if (call === undefined || call === before) return view
  const callRun = runOf(view, call.run)
  if (run.isEnded(callRun)) return withCall(view, dropped(call))
  const next = withCall(view, call)
  return withRun(next, before === undefined ? run.called(callRun, call.id, call.name) : callRun)
}

function withCall(view: SessionView, call: CallView): SessionView {
  return { ...view, calls: view.calls.with(call.id, call) }
}

/** Stores the run and updates everything that depends on it: `waiting`, the open runs, the active run. */
function withRun(view: SessionView, changed: RunView): SessionView {
  const after = withWaiting(view.calls, changed)
  const before = view.runs.get(after.id)
  const runs = view.runs.with(after.id, after)
  const wasOpen = before !== undefined && !run.isEnded(before)
  const isOpen = !run.isEnded(after)
  const isOfSame = before === undefined || before.message === after.message
  const next = isOfSame ? withAnswer({ ...view, runs }, after) : withTurns({ ...view, runs })
  const isSame = wasOpen === isOpen && before?.supersededBy === after.supersededBy && before?.parent === after.parent
  if (isSame) return next
  let { open } = view
  if (isOpen && !wasOpen) open = inMessageOrder(view, [...open, after.id], runs)
  else if (wasOpen && !isOpen) open = open.filter((id) => id !== after.id)
  return {
    ...next,
    open,
    activeRun: open.find((id) => isActive(runs.get(id))),
  }
}

function isActive(view: RunView | undefined): boolean {
  return view !== undefined && view.supersededBy === undefined && view.parent === undefined
}

/** Runs take turns in the order of their messages; the run of a late steering message may be created later. */
function inMessageOrder(
  view: SessionView,
  open: readonly string[],
  runs: ReadonlyMap<string, RunView>,
): readonly string[] {
  const positionOf = (id: string): number => {
    const message = runs.get(id)?.message
    const at = view.messages.findLastIndex((candidate) => candidate.id === message)
    return at < 0 ? view.messages.length : at
  }
  return [...open].sort((a, b) => positionOf(a) - positionOf(b))
}

function withWaiting(calls: ReadonlyMap<string, CallView>, view: RunView): RunView {
  if (view.status !== 'running' && view.status !== 'waiting') return view
  let isWaiting = false
  // The calls of the current step are last.
  for (let i = view.parts.length - 1; i >= 0 && !isWaiting; i -= 1) {
    const part = view.parts[i]
    if (part?.type !== 'tool') break
    const call = calls.get(part.call)
    isWaiting = call !== undefined && isForClient(call)
  }
  const status = isWaiting ? 'waiting' : 'running'
  return view.status === status ? view : { ...view, status }
}

function runOf(view: SessionView, id: string, message?: string): RunView {
  return view.runs.get(id) ?? run.newRun(id, message)
}
