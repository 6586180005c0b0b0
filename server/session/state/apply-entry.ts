// applyEntry: the state of a session after one more entry of its log. Pure.
//
//   message ──► queued ──► running ──► ended (completed | cancelled | superseded | failed)
//                  └──────────────────────▲   (a queued run can be ended without having started)
//
// `open` lists the unfinished runs in the order of their messages; the first of them is due. A message with `interrupt`
// marks all runs before it as superseded: they are over as soon as somebody appends their `run.ended`, and whoever notices may.
import type { Event, EventOf, MessageEvent, RunEnded } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import type { CommandRecord } from '../../store/ports/transcript-store.ts'
import { foldCall } from './call-state.ts'
import { isLate, withoutLate } from './late-calls.ts'
import { foldMembers } from './members.ts'
import { addOutput, addOutputs, addPart, fromParts, hasCall, type RunOutput, takenMessages } from './run-output.ts'
import { grown, isActive, queuedRun, type RunRecord, waitsForOthers } from './run-record.ts'
import {
  COMMANDS_KEPT,
  findCommand,
  findRun,
  lateSteerRun,
  type MessageState,
  type SessionState,
} from './session-state.ts'
import { deletedState, lateState } from './tombstone.ts'

/** What `fold` needs of an entry, so that folded entries of a transcript serve as well. */
export interface Folded {
  readonly seq: Seq
  readonly time: number
  readonly event: Event
}

export function fold(state: SessionState, entry: Folded): SessionState {
  if (state.deleted !== undefined) return lateState(state, state.deleted, entry.seq)
  const { event } = entry
  switch (event.type) {
    case 'run.output':
      return changeRun(state, entry.seq, event.run, (run) =>
        grown(run, entry.seq, event.index + 1, addOutput(run.output, event.kind, event.index, event.text)),
      )
    case 'message':
      return foldMessage(state, entry, event)
    case 'run.started':
      return changeRun(withRunOf(state, event.run), entry.seq, event.run, (run) => ({
        ...run,
        phase: 'running',
        last: entry.seq,
        epoch: event.epoch,
        // An owner that waits for people or their devices brings nothing forth, and is not to blame.
        stalls: waitsForOthers(run) ? run.stalls : run.stalls + 1,
        model: event.model,
        owner: event.owner,
        next: event.next,
        output: event.mode === 'restart' ? undefined : run.output,
        startedAt: entry.time,
      }))
    case 'run.snapshot':
      return changeRun(withRunOf(state, event.run), entry.seq, event.run, (run) => {
        const taken = new Set(event.output.map((part) => (part.type === 'message' ? part.message : '')))
        return {
          ...run,
          phase: 'running',
          epoch: event.epoch ?? run.epoch,
          model: event.model ?? run.model,
          owner: event.owner ?? run.owner,
          startedAt: event.startedAt ?? run.startedAt,
          last: entry.seq,
          next: event.next,
          output: fromParts(event.output),
          steers: run.steers.filter((message) => !taken.has(message)),
          calls: withoutLate(run.calls, event.epoch, event.output),
        }
      })
    case 'run.ended':
      return foldEnded(withRunOf(state, event.run), entry, event)
    case 'tool.called':
    case 'tool.claimed':
    case 'tool.decided':
    case 'tool.result':
      return foldTool(state, entry, event)
    case 'session.updated':
      return {
        ...state,
        seq: entry.seq,
        metaLast: entry.seq,
        title: event.title ?? state.title,
        tools:
          event.tools === undefined
            ? state.tools
            : new Map([...state.tools, ...event.tools.map((tool) => [tool.name, tool] as const)]),
      }
    case 'member.joined':
    case 'member.left':
    case 'invite.created':
    case 'invite.revoked': {
      const members = foldMembers(state.members, entry.seq, event)
      return { ...state, seq: entry.seq, metaLast: entry.seq, members }
    }
    case 'session.deleted':
      return deletedState(state, entry.seq, entry.time, event)
  }
}

export function foldAll(state: SessionState, entries: readonly Folded[]): SessionState {
  return entries.reduce(fold, state)
}

/** Neighbouring outputs of one run. */
export interface Outputs {
  /** Of the last. */
  readonly seq: Seq
  readonly run: string
  readonly kind: 'text' | 'reasoning'
  /** Of the first. */
  readonly index: number
  readonly texts: readonly string[]
}

/** As `fold` one by one, at little more than the cost of one. */
export function foldOutputs(state: SessionState, { seq, run: id, kind, index, texts }: Outputs): SessionState {
  if (state.deleted !== undefined) return lateState(state, state.deleted, seq)
  return changeRun(state, seq, id, (run) =>
    grown(run, seq, index + texts.length, addOutputs(run.output, kind, index, texts)),
  )
}

function foldMessage(state: SessionState, entry: Folded, event: MessageEvent): SessionState {
  const messages = [...state.messages, { seq: entry.seq, time: entry.time, event }]
  const base = {
    ...state,
    seq: entry.seq,
    messages,
    commands: remember(state.commands, { id: event.id, seq: entry.seq, message: event.id, run: event.run }),
    ...markSeen(state, event),
  }
  if (event.policy === 'steer') {
    const target = base.open.find((run) => run.id === event.run)
    // A run that was interrupted, or has ended, takes nothing any more: the message waits for its own turn.
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
  // Only a run that its door could not have seen stands against it: the end of an older one may have moved behind
  // this message, when its output was added.
  const after = event.after ?? 0
  const rejected = event.policy === 'reject' && base.open.some((other) => isActive(other) && other.order > after)
  return { ...base, open: [...base.open, rejected ? { ...run, rejected } : run] }
}

/** A message may tell how much of an earlier, perhaps ended, run its author saw. */
function markSeen(state: SessionState, event: MessageEvent): Partial<Pick<SessionState, 'open' | 'ended'>> {
  const { seen } = event
  if (seen === undefined) return {}
  const mark = (run: RunRecord): RunRecord => (run.id === seen.run ? { ...run, seen: seen.index } : run)
  const ended = state.ended.get(seen.run)
  if (ended !== undefined) return { ended: new Map(state.ended).set(ended.id, mark(ended)) }
  return { open: state.open.map(mark) }
}

function foldEnded(state: SessionState, entry: Folded, event: RunEnded): SessionState {
  const open = state.open.find((run) => run.id === event.run)
  const run = open ?? state.ended.get(event.run)
  if (run === undefined) return { ...state, seq: entry.seq }
  const output = event.output === undefined ? run.output : fromParts(event.output)
  const ended: RunRecord = {
    ...run,
    phase: 'ended',
    epoch: event.epoch ?? run.epoch,
    model: event.model ?? run.model,
    owner: event.owner ?? run.owner,
    startedAt: event.startedAt ?? run.startedAt,
    last: entry.seq,
    next: event.next,
    output,
    calls: withoutLate(run.calls, event.epoch, event.output),
    seen: event.seen?.index ?? run.seen,
    steers: [],
    supersededBy: undefined,
    rejected: false,
    ended: event,
    // What repeats the end, with its output, comes later.
    endedAt: run.endedAt ?? entry.time,
  }
  // An end that was given its output may be all that is left of the cancel that it repeats.
  const commands =
    event.command === undefined || event.reason !== 'cancelled' || findCommand(state, event.command) !== undefined
      ? state.commands
      : remember(state.commands, { id: event.command, seq: entry.seq, run: event.run })
  const rest = open === undefined ? state.open : state.open.filter((other) => other !== open)
  return {
    ...state,
    seq: entry.seq,
    commands,
    open: withLateSteers(state, rest, lateSteers(state, run, event, output)),
    ended: new Map(state.ended).set(run.id, ended),
  }
}

/**
 * Steering messages that the run did not take. Who completes leaves them to runs of their own; who was ended from
 * outside takes them along, but for those that came after its end, when the end has moved behind them since.
 */
function lateSteers(
  state: SessionState,
  run: RunRecord,
  event: RunEnded,
  output: RunOutput | undefined,
): readonly MessageState[] {
  const taken = new Set(takenMessages(output))
  const from = event.reason === 'completed' ? 0 : (event.at ?? Number.POSITIVE_INFINITY)
  return state.messages.filter(
    ({ seq, event: message }) => seq > from && run.steers.includes(message.id) && !taken.has(message.id),
  )
}

function withLateSteers(
  state: SessionState,
  open: readonly RunRecord[],
  late: readonly MessageState[],
): readonly RunRecord[] {
  if (late.length === 0) return open
  const runs = late.map(({ event, seq }) => {
    const interrupt = state.messages.find((other) => other.seq > seq && other.event.policy === 'interrupt')
    return { ...queuedRun(lateSteerRun(event.id), event, seq), supersededBy: interrupt?.event.id }
  })
  return [...open, ...runs].sort((a, b) => a.order - b.order)
}

/**
 * The first that is read of a late steer's run may come before the end of the run that the message was sent to, when
 * that end has moved behind it. Then the message is that run's no more.
 */
function withRunOf(state: SessionState, id: string): SessionState {
  if (findRun(state, id) !== undefined) return state
  const message = state.messages.find(({ event }) => event.policy === 'steer' && lateSteerRun(event.id) === id)
  if (message === undefined) return state
  const open = state.open.map((run) => ({ ...run, steers: run.steers.filter((steer) => steer !== message.event.id) }))
  return { ...state, open: withLateSteers(state, open, [message]) }
}

type ToolEvent = EventOf<'tool.called' | 'tool.claimed' | 'tool.decided' | 'tool.result'>

function foldTool(state: SessionState, entry: Folded, event: ToolEvent): SessionState {
  const next = changeRun(state, entry.seq, event.run, (changed) => {
    const run = changed
    const before = run.calls.get(event.call)
    if (before === undefined && isLate(run, event)) return run
    const call = foldCall(before, entry.seq, entry.time, event)
    if (call === undefined) return run
    const calls = new Map(run.calls).set(event.call, call)
    // After a restart from a transcript the snapshot may stand before the call, and have it already.
    if (before !== undefined || event.type !== 'tool.called' || hasCall(run.output, event.call))
      return { ...run, calls }
    return { ...run, calls, output: addPart(run.output, { type: 'tool', call: event.call, name: event.name }) }
  })
  const command = 'command' in event ? event.command : undefined
  if (command === undefined) return next
  return { ...next, commands: remember(next.commands, { id: command, seq: entry.seq, run: event.run }) }
}

function changeRun(state: SessionState, seq: Seq, id: string, change: (run: RunRecord) => RunRecord): SessionState {
  const at = state.open.findIndex((run) => run.id === id)
  if (at >= 0) {
    const open = state.open.slice()
    open[at] = change(open[at] as RunRecord)
    const { title, tools, members, metaLast, messages, ended, commands, deleted } = state
    return { seq, title, tools, members, metaLast, messages, open, ended, commands, deleted }
  }
  const ended = state.ended.get(id)
  if (ended === undefined) return { ...state, seq }
  return { ...state, seq, ended: new Map(state.ended).set(id, change(ended)) }
}

function remember(commands: readonly CommandRecord[], command: CommandRecord): readonly CommandRecord[] {
  return [...commands.slice(-(COMMANDS_KEPT - 1)), command]
}
