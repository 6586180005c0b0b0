// RunState: what a run's driver still has to append, and what it may do next. Pure: each transition returns a new state. The shell
// (run-driver.ts, run-appender.ts) calls the model, appends, and reports the outcome.
//
//   starting ──started──► streaming ──finished──► awaiting ──► streaming   (tool results or steering messages)
//                             │                       │
//                             └───────────────────────┴──► ending ──appended──► ended
//
// Self-clocked: one append is in flight at a time (`inFlight`). Text that arrives meanwhile joins the last item of the outbox and is
// sent with the next append. The outbox keeps the model's order: text before a call is appended before the call.
import type { Event, RunOutput as OutputEvent, OutputPart, RelayedRequest, Usage } from '@parley/protocol'
import {
  addEvent,
  addOutput,
  addPart,
  fromParts,
  type RunOutput,
  type TextKind,
  toParts,
} from '../session/state/run-output.ts'
import type { Seq } from '../store/ports/entry.ts'
import type { AboutRun, CallItem, Extra, Item, RunEnd } from './run-item.ts'

export type { AboutRun, CallItem, Extra } from './run-item.ts'
export type { TextKind }

export interface RunState {
  readonly about: AboutRun
  readonly phase: 'starting' | 'streaming' | 'awaiting' | 'ending' | 'ended'
  /** The current or next model call, from 0. */
  readonly step: number
  /** The last sequence number on the run's subject. */
  readonly last: Seq
  /** The index of the next output. */
  readonly next: number
  readonly output: RunOutput | undefined
  readonly outbox: readonly Item[]
  readonly inFlight: Item | undefined
  /** UTF-16 code units of text in the outbox and in flight. */
  readonly unsent: number
  /** Entries on the subject since the last compaction. */
  readonly entries: number
  /** Received deltas: an estimate of the output tokens until the provider reports them. */
  readonly deltas: number
  readonly usage: Usage
}

/** UTF-16 code units of one `run.output` at most. */
const OUTPUT_CHARS = 16 * 1024
const EMPTY_OUTBOX: readonly Item[] = []
/** A run is compacted into a snapshot after this many entries. */
export const SNAPSHOT_ENTRIES = 512

export function beginRun(about: AboutRun, from: Pick<RunState, 'last' | 'next' | 'output' | 'step'>): RunState {
  return {
    about,
    phase: 'starting',
    step: from.step,
    last: from.last,
    next: from.next,
    output: from.output,
    outbox: EMPTY_OUTBOX,
    inFlight: undefined,
    unsent: 0,
    entries: 0,
    deltas: 0,
    usage: { inputTokens: 0, outputTokens: 0 },
  }
}

export function partsOf({ output }: RunState): OutputPart[] {
  return toParts(output)
}

/** `run.started` is in the log. @param time of the entry @param output that readers keep: less than before, after a restart */
export function started(state: RunState, seq: Seq, time: number, output: RunOutput | undefined): RunState {
  return { ...state, about: { ...state.about, startedAt: time }, phase: 'streaming', last: seq, output }
}

/** The model sent text. */
export function received(state: RunState, kind: TextKind, text: string): RunState {
  const { last, next, output, inFlight, entries } = state
  const outbox = withText(state.outbox, kind, text)
  return withFields(state, last, next, output, outbox, inFlight, state.unsent + text.length, entries, state.deltas + 1)
}

/**
 * `received` and `take` in one step, for text that need not wait; most tokens take this path.
 * @returns undefined if an append is in flight or another item is first
 */
export function receivedAndTaken(state: RunState, kind: TextKind, text: string): RunState | undefined {
  const { last, next, output, entries } = state
  const isFree = state.inFlight === undefined && state.outbox.length === 0 && state.phase === 'streaming'
  if (!isFree || entries >= SNAPSHOT_ENTRIES) return undefined
  const item: Item = { type: 'text', kind, text }
  return withFields(
    state,
    last,
    next,
    output,
    EMPTY_OUTBOX,
    item,
    state.unsent + text.length,
    entries,
    state.deltas + 1,
  )
}

/** The state after a token. An object literal: a spread of this size costs twenty times as much, at every token. */
function withFields(
  state: RunState,
  last: Seq,
  next: number,
  output: RunOutput | undefined,
  outbox: readonly Item[],
  inFlight: Item | undefined,
  unsent: number,
  entries: number,
  deltas: number,
): RunState {
  const { about, phase, step, usage } = state
  return { about, phase, step, last, next, output, outbox, inFlight, unsent, entries, deltas, usage }
}

function withText(outbox: readonly Item[], kind: TextKind, text: string): readonly Item[] {
  const tail = outbox.length === 0 ? undefined : outbox[outbox.length - 1]
  if (tail?.type !== 'text' || tail.kind !== kind || tail.text.length >= OUTPUT_CHARS) {
    const item: Item = { type: 'text', kind, text }
    return outbox.length === 0 ? [item] : [...outbox, item]
  }
  const joined: Item = { type: 'text', kind, text: tail.text + text }
  return outbox.length === 1 ? [joined] : [...outbox.slice(0, -1), joined]
}

/** The model, or one of its tools, gave an output that is not text. It counts as a delta, unless it comes from a tool. */
export function given(state: RunState, extra: Extra): RunState {
  const { last, next, output, inFlight, entries } = state
  const tail = state.outbox.at(-1)
  const joined = tail?.type === 'extra' ? joinedExtra(tail.extra, extra) : undefined
  const item: Item = { type: 'extra', extra: joined ?? extra }
  const outbox = joined === undefined ? [...state.outbox, item] : [...state.outbox.slice(0, -1), item]
  const text = extra.kind === 'input' ? extra.text.length : 0
  const deltas = state.deltas + (extra.kind === 'data' ? 0 : 1)
  return withFields(state, last, next, output, outbox, inFlight, state.unsent + text, entries, deltas)
}

function joinedExtra(before: Extra, extra: Extra): Extra | undefined {
  if (before.kind === 'input' && extra.kind === 'input') {
    if (before.call !== extra.call || before.text.length >= OUTPUT_CHARS) return undefined
    return { ...before, text: before.text + extra.text }
  }
  const isSame = before.kind === 'data' && extra.kind === 'data' && extra.id !== undefined && before.id === extra.id
  return isSame ? extra : undefined
}

/** The model called a tool. */
export function called(state: RunState, call: CallItem): RunState {
  if (call.child === undefined) return { ...state, outbox: [...state.outbox, call] }
  // One snapshot lets all children start whose calls are before it.
  const last = state.outbox.at(-1)
  const outbox = last?.type === 'snapshot' && last.begins === true ? state.outbox.slice(0, -1) : state.outbox
  return { ...state, outbox: [...outbox, call, { type: 'snapshot', take: [], begins: true }] }
}

/** Another agent continues the run with the next step. */
export function handed(state: RunState, to: string, model: string, reason: string | undefined): RunState {
  return { ...state, outbox: [...state.outbox, { type: 'handed', to, model, reason }] }
}

/** The next request to the model has this key at a relay. */
export function requested(state: RunState, stream: string, model: string): RunState {
  return { ...state, outbox: [...state.outbox, { type: 'requested', stream, model }] }
}

/** The model's answer is complete; the step waits for its tools, or the run for its end. */
export function finished(state: RunState, usage: Usage): RunState {
  const reasoning = (state.usage.reasoningTokens ?? 0) + (usage.reasoningTokens ?? 0)
  const cached = (state.usage.cachedTokens ?? 0) + (usage.cachedTokens ?? 0)
  const cacheWrite = (state.usage.cacheWriteTokens ?? 0) + (usage.cacheWriteTokens ?? 0)
  return {
    ...state,
    phase: 'awaiting',
    usage: {
      inputTokens: state.usage.inputTokens + usage.inputTokens,
      outputTokens: state.usage.outputTokens + usage.outputTokens,
      ...(reasoning === 0 ? {} : { reasoningTokens: reasoning }),
      ...(cached === 0 ? {} : { cachedTokens: cached }),
      ...(cacheWrite === 0 ? {} : { cacheWriteTokens: cacheWrite }),
    },
  }
}

/** The next model call starts, with these steering messages. */
export function nextStep(state: RunState, take: readonly string[]): RunState {
  const outbox: readonly Item[] = take.length === 0 ? state.outbox : [...state.outbox, { type: 'snapshot', take }]
  return { ...state, phase: 'streaming', step: state.step + 1, outbox }
}

/** The run ends after the outbox is appended. */
export function ending(state: RunState, end: RunEnd): RunState {
  if (state.phase === 'ending' || state.phase === 'ended') return state
  return { ...state, phase: 'ending', usage: usageSoFar(state), outbox: [...state.outbox, { type: 'end', end }] }
}

/** The provider reports no usage for an interrupted step; then each delta counts as a token. */
export function usageSoFar(state: RunState): Usage {
  return { ...state.usage, outputTokens: Math.max(state.usage.outputTokens, state.deltas) }
}

/** The run was ended or taken over: nothing in the outbox will be appended. */
export function fenced(state: RunState): RunState {
  return { ...state, phase: 'ended', outbox: [], inFlight: undefined, unsent: 0 }
}

export interface RunAppend {
  /** The tool call whose subject it is for; undefined: the run's own subject. */
  readonly call: string | undefined
  readonly event: Event
  readonly expect: Seq
  readonly rollup: boolean
}

/** Puts the next append in flight. @returns the same state if one is in flight, or nothing is left to append */
export function take(state: RunState): RunState {
  if (state.inFlight !== undefined || state.phase === 'starting' || state.phase === 'ended') return state
  const due = state.entries >= SNAPSHOT_ENTRIES
  const head = state.outbox[0]
  if (head === undefined) return state
  if (due && head.type !== 'end' && head.type !== 'snapshot') {
    const item: Item = { type: 'snapshot', take: [] }
    return { ...state, inFlight: item }
  }
  const outbox = state.outbox.length === 1 ? EMPTY_OUTBOX : state.outbox.slice(1)
  const { last, next, output, unsent, entries, deltas } = state
  return withFields(state, last, next, output, outbox, head, unsent, entries, deltas)
}

/** The item in flight is in the log. */
export function appended(state: RunState, seq: Seq): RunState {
  const item = state.inFlight
  if (item === undefined) return state
  const inFlight = undefined
  switch (item.type) {
    case 'text': {
      const output = addOutput(state.output, item.kind, state.next, item.text)
      const unsent = state.unsent - item.text.length
      return withFields(
        state,
        seq,
        state.next + 1,
        output,
        state.outbox,
        inFlight,
        unsent,
        state.entries + 1,
        state.deltas,
      )
    }
    case 'extra': {
      const event = outputOf(state, item.extra)
      const unsent = state.unsent - event.text.length
      const output = addEvent(state.output, event)
      return { ...state, inFlight, last: seq, next: state.next + 1, output, unsent, entries: state.entries + 1 }
    }
    case 'call':
      return { ...state, inFlight, output: addPart(state.output, { type: 'tool', call: item.call, name: item.name }) }
    case 'snapshot': {
      const about = item.take.length === 0 ? state.about : withoutRequest(state.about)
      const output = fromParts(withTaken(state.output, item.take))
      return { ...state, about, inFlight, last: seq, entries: 0, output }
    }
    case 'requested': {
      const about = { ...state.about, request: requestOf(state, item) }
      return { ...state, about, inFlight, last: seq, entries: state.entries + 1 }
    }
    case 'handed': {
      const about = { ...state.about, agent: item.to, model: item.model }
      return { ...state, about, inFlight, last: seq, entries: state.entries + 1 }
    }
    case 'end':
      return { ...state, inFlight, last: seq, phase: 'ended' }
  }
}

/** The append failed and may be retried. */
export function putBack(state: RunState): RunState {
  const item = state.inFlight
  if (item === undefined) return state
  // A snapshot that only compacts becomes due again.
  const again = item.type === 'snapshot' && item.take.length === 0 && item.begins !== true ? [] : [item]
  return { ...state, inFlight: undefined, outbox: [...again, ...state.outbox] }
}

/** Whether text waits behind the item in flight. */
export function hasWaitingText({ outbox }: RunState): boolean {
  return outbox.length > 0 && outbox.some((item) => item.type === 'text')
}

/** The append in flight; undefined if there is none. */
export function inFlight(state: RunState): RunAppend | undefined {
  const { about, last, next, inFlight: item } = state
  if (item === undefined) return undefined
  const { run } = about
  const call = undefined
  switch (item.type) {
    case 'text': {
      const event: Event = { type: 'run.output', run, index: next, kind: item.kind, text: item.text }
      return { call, event, expect: last, rollup: false }
    }
    case 'extra':
      return { call, event: outputOf(state, item.extra), expect: last, rollup: false }
    case 'call': {
      const { type: _, ...call } = item
      const event: Event = { type: 'tool.called', run, ...call, attempt: 1, step: state.step, next, epoch: about.epoch }
      return { call: item.call, event, expect: 0, rollup: false }
    }
    case 'snapshot': {
      const output = withTaken(state.output, item.take)
      const changes = item.take.length === 0 ? {} : { changes: true as const }
      // The steering messages are for the next call, which is not sent yet.
      const whole = item.take.length === 0 ? about : withoutRequest(about)
      const event: Event = { type: 'run.snapshot', ...whole, next, output, ...changes }
      return { call, event, expect: last, rollup: true }
    }
    case 'handed': {
      const { to, reason } = item
      const event: Event = {
        type: 'run.handed',
        run,
        ...(about.agent === undefined ? {} : { from: about.agent }),
        to,
        ...(reason === undefined ? {} : { reason }),
      }
      return { call, event, expect: last, rollup: false }
    }
    case 'requested':
      return { call, event: { type: 'run.requested', run, ...requestOf(state, item) }, expect: last, rollup: false }
    case 'end': {
      const output = toParts(state.output)
      const event: Event = {
        type: 'run.ended',
        ...withoutRequest(about),
        ...item.end,
        usage: state.usage,
        next,
        output,
      }
      return { call, event, expect: last, rollup: true }
    }
  }
}

function requestOf({ step, next }: RunState, { stream, model }: Extract<Item, { type: 'requested' }>): RelayedRequest {
  return { stream, step, next, model }
}

function withoutRequest({ request: _, ...about }: AboutRun): AboutRun {
  return about
}

function outputOf({ about, next }: RunState, extra: Extra): OutputEvent {
  return { type: 'run.output', run: about.run, index: next, text: '', ...extra }
}

function withTaken(output: RunOutput | undefined, take: readonly string[]): OutputPart[] {
  return [...toParts(output), ...take.map((message) => ({ type: 'message' as const, message }))]
}
