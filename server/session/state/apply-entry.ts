// applyEntry: the reducer of a session. It computes the next state from the next entry of the log. Pure.
//
//   message ──► queued ──► running ──► ended (completed | cancelled | superseded | failed)
//                  └──────────────────────▲   (a queued run can end without starting)
//
// `open` lists the unfinished runs in the order of their messages; the first one is due. A message with `interrupt`
// marks all earlier runs as superseded. They end when a node appends their `run.ended`; any node may.
import {
  type Event,
  type EventOf,
  type MessageEvent,
  type OutputPart,
  parseJson,
  type RunEnded,
} from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import type { Seq } from '../../store/ports/entry.ts'
import type { CommandRecord, CompactedEntry } from '../../store/ports/transcript-store.ts'
import { applyToCall, type ToolEvent } from './call-state.ts'
import { withChild, withoutLateChildren } from './child-runs.ts'
import { lateSteers, withLateSteerRun, withLateSteers } from './late-steers.ts'
import { applyToMembers } from './members.ts'
import { type Owned, withEntry, withItem } from './owned.ts'
import { addEvent, addOutputs, addPart, completeOutput, fromParts, hasCall, type TextKind } from './run-output.ts'
import { awaitsOthers, isActive, queuedRun, type RunRecord, withOutput } from './run-record.ts'
import { findCommand, findRun, MAX_COMMANDS, type SessionState } from './session-state.ts'
import { applyAfterDeletion, applyDeletion } from './tombstone.ts'
import { declare, withoutUser } from './tool-declarations.ts'

/** The part of an entry that the state depends on, which a transcript keeps. */
export interface LoggedEvent {
  readonly seq: Seq
  readonly time: number
  readonly event: Event
}

export function parseEntry({ seq, time, json }: CompactedEntry): LoggedEvent {
  return { seq, time, event: parseJson(json) as Event }
}

/** @param owned for a batch, of which nobody sees the states in between */
export function applyEntry(state: SessionState, entry: LoggedEvent, owned?: Owned): SessionState {
  if (state.deleted !== undefined) return applyAfterDeletion(state, state.deleted, entry.seq)
  const { event } = entry
  switch (event.type) {
    case 'run.output':
      return updateRun(
        state,
        entry.seq,
        event.run,
        (run) => withOutput(run, entry.seq, event.index + 1, addEvent(run.output, event)),
        owned,
      )
    case 'message':
      return applyMessage(state, entry, event, owned)
    case 'run.started':
      return updateRun(withUnknownRun(state, entry.seq, event), entry.seq, event.run, (run) => {
        const isRestart = event.mode === 'restart'
        const output = isRestart ? completeOutput(run.output) : run.output
        return {
          ...run,
          phase: 'running',
          last: entry.seq,
          epoch: event.epoch,
          // An attempt that waits for others has no output, but it is not stalled.
          stalls: awaitsOthers(run) ? run.stalls : run.stalls + 1,
          model: event.model,
          agent: event.agent ?? run.agent,
          owner: event.owner,
          next: event.next,
          output,
          request: event.request,
          unreturned: isRestart ? output !== undefined : run.unreturned,
          startedAt: entry.time,
        }
      })
    case 'run.requested': {
      const { stream, step, next, model } = event
      const request = { stream, step, next, model }
      return updateRun(state, entry.seq, event.run, (run) => ({ ...run, last: entry.seq, request }))
    }
    case 'run.handed':
      return updateRun(state, entry.seq, event.run, (run) => ({ ...run, last: entry.seq, agent: event.to }))
    case 'run.snapshot': {
      const next = updateRun(withUnknownRun(state, entry.seq, event), entry.seq, event.run, (run) => {
        const taken = new Set(event.output.map((part) => (part.type === 'message' ? part.message : '')))
        return {
          ...run,
          phase: 'running',
          epoch: event.epoch ?? run.epoch,
          model: event.model ?? run.model,
          agent: event.agent ?? run.agent,
          owner: event.owner ?? run.owner,
          startedAt: event.startedAt ?? run.startedAt,
          last: entry.seq,
          next: event.next,
          output: fromParts(event.output),
          request: event.request,
          unreturned: false,
          steers: run.steers.filter((message) => !taken.has(message)),
          calls: withoutLateCalls(run.calls, event.epoch, event.output),
        }
      })
      const run = state.children.length === 0 ? undefined : findRun(next, event.run)
      return run === undefined ? next : withoutLateChildren(next, run)
    }
    case 'run.ended':
      return applyEnd(withUnknownRun(state, entry.seq, event), entry, event, owned)
    case 'tool.called':
    case 'tool.claimed':
    case 'tool.decided':
    case 'tool.asked':
    case 'tool.answered':
    case 'tool.result':
    case 'tool.progress':
      return applyToolEvent(state, entry, event)
    case 'session.updated':
      return {
        ...state,
        seq: entry.seq,
        lastMetaSeq: entry.seq,
        title: event.title ?? state.title,
        tools: event.tools === undefined ? state.tools : declare(state.tools, event.tools),
        deletedResponses:
          event.deletedResponses === undefined
            ? state.deletedResponses
            : new Set([...state.deletedResponses, ...event.deletedResponses]),
      }
    case 'member.joined':
    case 'member.left':
    case 'invite.created':
    case 'invite.revoked': {
      const members = applyToMembers(state.members, entry.seq, event)
      const tools = event.type === 'member.left' ? withoutUser(state.tools, event.user) : state.tools
      return { ...state, seq: entry.seq, lastMetaSeq: entry.seq, members, tools }
    }
    case 'session.deleted':
      return applyDeletion(state, entry.seq, entry.time, event)
    default:
      // Of a later version.
      return { ...state, seq: entry.seq }
  }
}

export function applyEntries(state: SessionState, entries: readonly LoggedEvent[]): SessionState {
  const owned: Owned = new Set()
  return entries.reduce((before, entry) => applyEntry(before, entry, owned), state)
}

/** Adjacent outputs of one run. */
export interface OutputBatch {
  /** The sequence number of the last output. */
  readonly seq: Seq
  readonly run: string
  readonly kind: TextKind
  /** The index of the first output. */
  readonly index: number
  readonly texts: readonly string[]
}

/** Has the effect of `applyEntry` for each output, at little more than the cost of one. */
export function applyOutputs(
  state: SessionState,
  { seq, run: id, kind, index, texts }: OutputBatch,
  owned?: Owned,
): SessionState {
  if (state.deleted !== undefined) return applyAfterDeletion(state, state.deleted, seq)
  return updateRun(
    state,
    seq,
    id,
    (run) => withOutput(run, seq, index + texts.length, addOutputs(run.output, kind, index, texts)),
    owned,
  )
}

function applyMessage(state: SessionState, entry: LoggedEvent, event: MessageEvent, owned?: Owned): SessionState {
  const messages = withItem(state.messages, { seq: entry.seq, time: entry.time, event }, owned)
  const base = {
    ...state,
    seq: entry.seq,
    title: state.title ?? event.title,
    messages,
    commands: withCommand(state.commands, { id: event.id, seq: entry.seq, message: event.id, run: event.run }),
    ...markSeen(state, event, owned),
  }
  if (event.policy === 'steer') {
    const target = base.open.find((run) => run.id === event.run)
    // An interrupted or ended run accepts no messages: this one gets a run of its own.
    if (target !== undefined && target.supersededBy === undefined) {
      return {
        ...base,
        open: base.open.map((run) => (run === target ? { ...run, steers: [...run.steers, event.id] } : run)),
      }
    }
    const late = target !== undefined || state.ended.has(event.run)
    return { ...base, open: [...base.open, queuedRun(late ? lateSteerRun(event.id) : event.run, event, entry.seq)] }
  }
  const run = queuedRun(event.run, event, entry.seq)
  if (event.policy === 'interrupt') {
    const open = base.open.map((other) => ({ ...other, supersededBy: other.supersededBy ?? event.id }))
    return { ...base, open: [...open, run] }
  }
  // Only a run that the sending node did not know of rejects the message. An older run may still be open here although
  // it had ended: compaction moves its end behind the message.
  const after = event.after ?? 0
  const rejected = event.policy === 'reject' && base.open.some((other) => isActive(other) && other.order > after)
  return { ...base, open: [...base.open, rejected ? { ...run, rejected } : run] }
}

/** A message may report how much of an earlier run its author saw. The run may have ended. */
function markSeen(
  state: SessionState,
  event: MessageEvent,
  owned?: Owned,
): Partial<Pick<SessionState, 'open' | 'ended'>> {
  const { seen } = event
  if (seen === undefined) return {}
  const mark = (run: RunRecord): RunRecord => (run.id === seen.run ? { ...run, seen: seen.index } : run)
  const ended = state.ended.get(seen.run)
  if (ended !== undefined) return { ended: withEntry(state.ended, ended.id, mark(ended), owned) }
  return { open: state.open.map(mark) }
}

function applyEnd(state: SessionState, entry: LoggedEvent, event: RunEnded, owned?: Owned): SessionState {
  const open = state.open.find((run) => run.id === event.run)
  const run = open ?? findRun(state, event.run)
  if (run === undefined) return { ...state, seq: entry.seq }
  const output = event.output === undefined ? run.output : fromParts(event.output)
  const ended: RunRecord = {
    ...run,
    phase: 'ended',
    epoch: event.epoch ?? run.epoch,
    model: event.model ?? run.model,
    agent: event.agent ?? run.agent,
    owner: event.owner ?? run.owner,
    startedAt: event.startedAt ?? run.startedAt,
    last: entry.seq,
    next: event.next,
    output,
    calls: withoutLateCalls(run.calls, event.epoch, event.output),
    seen: event.seen?.index ?? run.seen,
    steers: [],
    supersededBy: undefined,
    rejected: false,
    // Only the driver is sure to release the response: its end has the output.
    request: event.output === undefined && event.compacted !== true ? run.request : undefined,
    ended: event,
    // The compacted end repeats the first one later.
    endedAt: run.endedAt ?? entry.time,
  }
  // The compacted end may be the only entry that still names its cancel command.
  const commands =
    event.command === undefined || event.reason !== 'cancelled' || findCommand(state, event.command) !== undefined
      ? state.commands
      : withCommand(state.commands, { id: event.command, seq: entry.seq, run: event.run })
  const rest = open === undefined ? state.open : state.open.filter((other) => other !== open)
  const after = withoutLateChildren(state, ended)
  return {
    ...after,
    seq: entry.seq,
    commands,
    children: run.parent === undefined ? after.children : after.children.filter((other) => other.id !== run.id),
    open: withLateSteers(state, rest, lateSteers(state, run, event, output)),
    ended: withEntry(state.ended, run.id, ended, owned),
  }
}

/** Ensures that the run exists, of whose own entries the state may know the first one only now. */
function withUnknownRun(
  state: SessionState,
  seq: Seq,
  event: EventOf<'run.started' | 'run.snapshot' | 'run.ended'>,
): SessionState {
  const { run, parent, agent } = event
  return parent === undefined ? withLateSteerRun(state, run) : withChild(state, seq, { run, parent, agent })
}

function applyToolEvent(state: SessionState, entry: LoggedEvent, event: ToolEvent): SessionState {
  const next = updateRun(state, entry.seq, event.run, (run) => {
    const before = run.calls.get(event.call)
    if (before === undefined && isLateCall(run, event)) return run
    const call = applyToCall(before, entry.seq, entry.time, event)
    if (call === undefined) return run
    const calls = new Map(run.calls).set(event.call, call)
    // In a transcript, the snapshot may precede the call that it already contains.
    if (before !== undefined || event.type !== 'tool.called' || hasCall(run.output, event.call))
      return { ...run, calls }
    return { ...run, calls, output: addPart(run.output, { type: 'tool', call: event.call, name: event.name }) }
  })
  const command = 'command' in event ? event.command : undefined
  if (command === undefined) return event.type === 'tool.called' ? withAsked(next, entry.seq, event) : next
  return { ...next, commands: withCommand(next.commands, { id: command, seq: entry.seq, run: event.run }) }
}

/** Adds the child run that answers the call, if the call counts and asks an agent. */
function withAsked(state: SessionState, seq: Seq, { run, call, child }: EventOf<'tool.called'>): SessionState {
  if (child === undefined || findRun(state, run)?.calls.has(call) !== true) return state
  return withChild(state, seq, { ...child, parent: { run, call } })
}

function updateRun(
  state: SessionState,
  seq: Seq,
  id: string,
  change: (run: RunRecord) => RunRecord,
  owned?: Owned,
): SessionState {
  const at = state.open.findIndex((run) => run.id === id)
  if (at >= 0) {
    const open = state.open.slice()
    open[at] = change(open[at] as RunRecord)
    return withRuns(state, seq, open, state.children)
  }
  const child = state.children.findIndex((run) => run.id === id)
  if (child >= 0) {
    const children = state.children.slice()
    children[child] = change(children[child] as RunRecord)
    return withRuns(state, seq, state.open, children)
  }
  const ended = state.ended.get(id)
  if (ended === undefined) return { ...state, seq }
  return { ...state, seq, ended: withEntry(state.ended, id, change(ended), owned) }
}

/** The state after an output, without a spread (as for `withOutput`). */
function withRuns(
  { title, tools, deletedResponses, members, lastMetaSeq, messages, ended, commands, deleted }: SessionState,
  seq: Seq,
  open: readonly RunRecord[],
  children: readonly RunRecord[],
): SessionState {
  return {
    seq,
    title,
    tools,
    deletedResponses,
    members,
    lastMetaSeq,
    messages,
    open,
    children,
    ended,
    commands,
    deleted,
  }
}

function withCommand(commands: readonly CommandRecord[], command: CommandRecord): readonly CommandRecord[] {
  return [...commands.slice(-(MAX_COMMANDS - 1)), command]
}

/**
 * Whether a replaced driver appended the call; such a call does not exist. The conditional append on the run's subject
 * fences a replaced driver, but a call has a subject of its own. So the order of the log decides: the call follows the
 * next start.
 */
function isLateCall(run: RunRecord, event: ToolEvent): boolean {
  if (event.type !== 'tool.called' || event.epoch === undefined) return false
  return event.epoch < run.epoch && !hasCall(run.output, event.call)
}

/** Removes late calls when their successor's start is known only now: compaction may have moved it behind them. */
function withoutLateCalls(
  calls: RunRecord['calls'],
  epoch = 0,
  output: readonly OutputPart[] | undefined,
): RunRecord['calls'] {
  if (output === undefined) return calls
  const named = new Set(output.map((part) => (part.type === 'tool' ? part.call : '')))
  const kept = [...calls].filter(([id, call]) => call.epoch === undefined || call.epoch >= epoch || named.has(id))
  return kept.length === calls.size ? calls : new Map(kept)
}
