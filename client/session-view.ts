// SessionView: a session as its entries tell it to a client. Pure: `applyEntry` takes a view and the next entry
// and returns the new view, sharing all that did not change. Every split of a session's log into replays, merged
// outputs, snapshots and live entries gives the same view; what does not follow on what is held throws a GapError.
//
//   attaching ──► replaying ──► live
//       ▲             │           │  the connection went
//       └─ offline ◄──┴───────────┘
import type { Context, EntryFrame, ErrorCode, Event, EventOf, Part, Policy } from '@parley/protocol'
import { parseCursor } from '@parley/protocol/position'
import { type TurnView, withNewest, withTurns } from './branch.ts'
import { type CallView, dropped, foldCall, isForClient, isSettled } from './call-view.ts'
import { LayeredMap } from './layered-map.ts'
import type { ParleyError } from './parley-error.ts'
import type { RunView } from './run-view.ts'
import * as run from './run-view.ts'

export type SessionStatus = 'attaching' | 'replaying' | 'live' | 'offline'

export interface MessageView {
  readonly id: string
  readonly author: string
  readonly content: readonly Part[]
  /** Its text parts together. */
  readonly text: string
  /** Unix milliseconds. */
  readonly time: number
  readonly policy: Policy
  /** The run that answers it, or that it was to steer. */
  readonly run: string
  readonly model?: string
  readonly agent?: string
  /** What it brought along for its run. */
  readonly context?: Context
  /** The message after whose answer it stands; null: none; undefined: the view begins with it, and does not know. */
  readonly parent: string | null | undefined
}

/** A message of this client that the log has not shown yet. */
export interface PendingSend {
  readonly id: string
  readonly content: readonly Part[]
  readonly text: string
  readonly policy: Policy
  /** Unix milliseconds on this machine. */
  readonly time: number
  /** As it was sent. */
  readonly parent?: string | null
  /** The server refused it for now; it goes out again by itself. */
  readonly delayed?: Delay
}

export interface Delay {
  readonly code: ErrorCode
  /** Unix milliseconds on this machine. */
  readonly until: number
}

export interface SessionView {
  readonly id: string
  readonly status: SessionStatus
  /** After the last entry that is in the view; undefined before the first. */
  readonly cursor: string | undefined
  readonly title: string | undefined
  /** This client's role in the session, once it is attached. */
  readonly role: string | undefined
  /** In the order of the log: of all branches. */
  readonly messages: readonly MessageView[]
  /** The conversation that is shown: the path to the newest message, or through the version that was chosen. */
  readonly turns: readonly TurnView[]
  /** The message whose branch is shown, while that is not the newest one's. */
  readonly chosen: string | undefined
  /** It begins in the middle of the log. */
  readonly isPartial: boolean
  readonly runs: LayeredMap<string, RunView>
  readonly calls: LayeredMap<string, CallView>
  /** Unfinished runs, in the order in which they take their turn. */
  readonly open: readonly string[]
  /** The run that is speaking, or is next to speak. */
  readonly activeRun: string | undefined
  readonly pending: readonly PendingSend[]
  /** Outputs that came although they were held already: 0, unless the server repeats itself. */
  readonly faults: number
  /** Why the session cannot be attached; set together with `offline`. */
  readonly error: ParleyError | undefined
}

export function newSession(id: string, cursor?: string): SessionView {
  return {
    id,
    status: 'attaching',
    cursor,
    title: undefined,
    role: undefined,
    messages: [],
    turns: [],
    chosen: undefined,
    isPartial: cursor !== undefined,
    runs: LayeredMap.empty<string, RunView>(),
    calls: LayeredMap.empty<string, CallView>(),
    open: [],
    activeRun: undefined,
    pending: [],
    faults: 0,
    error: undefined,
  }
}

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

/** Whether a cursor is after another one. Cursors of another epoch cannot be compared: they count as after. */
export function isAfter(cursor: string, other: string): boolean {
  const a = parseCursor(cursor)
  const b = parseCursor(other)
  return a === undefined || b === undefined || a.epoch !== b.epoch || a.seq > b.seq
}

export function textOf(content: readonly Part[]): string {
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

/** The id of the run that answers a steering message which came too late for the run that it was sent to. */
export function lateSteerRun(message: string): string {
  return `steer_${message}`.slice(0, 128)
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
