// applyEntry: a session's view after one more entry of its log, sharing all that did not change. Pure. Every split of a log into
// replays, merged outputs, snapshots and live entries gives the same view. An entry that does not follow throws a GapError.
import type { EntryFrame, Event, EventOf } from '@parley/protocol'
import { isAfter } from '@parley/protocol/position'
import { withNewest, withTurns } from './branch.ts'
import { type CallView, dropped, foldCall, isForClient, isSettled } from './call-view.ts'
import type { RunView } from './run-view.ts'
import * as run from './run-view.ts'
import { lateSteerRun, type MessageView, newSession, type SessionView, textOf } from './session-view.ts'

/** What is held is void: the session comes from its beginning. What was sent and not shown yet stays. */
export function startOver(view: SessionView): SessionView {
  const { status, role, pending, faults } = view
  return withTurns({ ...newSession(view.id), status, role, pending, faults })
}

/**
 * The view after one more entry. Entries at or before the view's cursor change nothing.
 * @throws GapError when the entry does not follow; the view that was passed still holds
 */
export function applyEntry(view: SessionView, frame: Pick<EntryFrame, 'cursor' | 'time' | 'event'>): SessionView {
  if (view.cursor !== undefined && !isAfter(frame.cursor, view.cursor)) return view
  const next = fold(view, frame.time, frame.event)
  return { ...next, cursor: frame.cursor }
}

function fold(view: SessionView, time: number, event: Event): SessionView {
  switch (event.type) {
    case 'run.output': {
      const before = runOf(view, event.run)
      const after = run.output(before, event)
      if (after === before) return { ...view, faults: view.faults + 1 }
      return withRun(view, after)
    }
    case 'run.started':
      return withRun(view, run.started(runOf(view, event.run, event.message), event))
    case 'run.snapshot':
      return withRun(view, run.snapshot(runOf(view, event.run), event))
    case 'run.ended':
      return endRun(view, event)
    case 'message':
      return foldMessage(view, time, event)
    case 'tool.called':
    case 'tool.claimed':
    case 'tool.decided':
    case 'tool.result':
      return foldTool(view, event)
    case 'session.updated':
      return event.title === undefined ? view : { ...view, title: event.title }
    default:
      // Members, and what later servers may add.
      return view
  }
}

function foldMessage(view: SessionView, time: number, event: EventOf<'message'>): SessionView {
  const message: MessageView = {
    id: event.id,
    author: event.author,
    content: event.content,
    text: textOf(event.content),
    time,
    policy: event.policy,
    run: event.run,
    ...(event.model === undefined ? {} : { model: event.model }),
    ...(event.agent === undefined ? {} : { agent: event.agent }),
    ...(event.context === undefined ? {} : { context: event.context }),
    parent:
      event.parent === undefined ? (view.messages.at(-1)?.id ?? (view.isPartial ? undefined : null)) : event.parent,
  }
  let next: SessionView = { ...view, messages: [...view.messages, message] }
  if (next.pending.some((pending) => pending.id === event.id)) {
    next = withTurns({ ...next, pending: next.pending.filter((pending) => pending.id !== event.id) })
  } else next = withNewest(next, message)
  const { seen } = event
  const told = seen === undefined ? undefined : next.runs.get(seen.run)
  if (told !== undefined && seen !== undefined) next = withRun(next, { ...told, seen: seen.index })
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
  // A steering message. A run that was interrupted, or has ended, takes nothing any more: it gets its own.
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

/** Steering messages that a completed run did not take get runs of their own. */
function withLateSteers(view: SessionView, id: string): SessionView {
  const steered = view.runs.get(id)?.steered ?? []
  let next = view
  for (const message of view.messages) {
    if (message.run !== id || message.policy !== 'steer' || steered.includes(message.id)) continue
    const late = lateSteerRun(message.id)
    // The first message of a run may have asked to steer when there was nothing to steer.
    if (view.runs.get(id)?.message === message.id || view.runs.has(late)) continue
    next = withRun(next, run.newRun(late, message.id, message.model))
  }
  return next
}

function foldTool(
  view: SessionView,
  event: EventOf<'tool.called' | 'tool.claimed' | 'tool.decided' | 'tool.result'>,
): SessionView {
  const before = view.calls.get(event.call)
  if (before === undefined && event.type === 'tool.called' && run.isLate(runOf(view, event.run), event)) return view
  const call = foldCall(before, event)
  if (call === undefined || call === before) return view
  const owner = runOf(view, call.run)
  if (run.isEnded(owner)) return withCall(view, dropped(call))
  const next = withCall(view, call)
  return withRun(next, before === undefined ? run.called(owner, call.id, call.name) : owner)
}

function withCall(view: SessionView, call: CallView): SessionView {
  return { ...view, calls: view.calls.with(call.id, call) }
}

/** Puts the run in, and keeps what follows from it: `waiting`, the unfinished runs, the active one. */
function withRun(view: SessionView, changed: RunView): SessionView {
  const after = withWaiting(view.calls, changed)
  const before = view.runs.get(after.id)
  const runs = view.runs.with(after.id, after)
  const wasOpen = before !== undefined && !run.isEnded(before)
  const isOpen = !run.isEnded(after)
  if (wasOpen === isOpen && before?.supersededBy === after.supersededBy) return { ...view, runs }
  let { open } = view
  if (isOpen && !wasOpen) open = inTurn(view, [...open, after.id], runs)
  else if (wasOpen && !isOpen) open = open.filter((id) => id !== after.id)
  return {
    ...view,
    runs,
    open,
    activeRun: open.find((id) => runs.get(id)?.supersededBy === undefined),
  }
}

/** Runs take their turn in the order of their messages; a late steering message's run may begin to exist later. */
function inTurn(view: SessionView, open: readonly string[], runs: ReadonlyMap<string, RunView>): readonly string[] {
  const place = (id: string): number => {
    const message = runs.get(id)?.message
    const at = view.messages.findLastIndex((candidate) => candidate.id === message)
    return at < 0 ? view.messages.length : at
  }
  return [...open].sort((a, b) => place(a) - place(b))
}

function withWaiting(calls: ReadonlyMap<string, CallView>, view: RunView): RunView {
  if (view.status !== 'running' && view.status !== 'waiting') return view
  let waits = false
  // The calls of the present step stand last.
  for (let i = view.parts.length - 1; i >= 0 && !waits; i -= 1) {
    const part = view.parts[i]
    if (part?.type !== 'tool') break
    const call = calls.get(part.call)
    waits = call !== undefined && isForClient(call)
  }
  const status = waits ? 'waiting' : 'running'
  return view.status === status ? view : { ...view, status }
}

function runOf(view: SessionView, id: string, message?: string): RunView {
  const held = view.runs.get(id)
  if (held !== undefined) return held
  return run.newRun(id, message)
}
