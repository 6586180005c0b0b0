// RunState: what the owner of a run still has to append, and what it may do next. Pure: each transition
// returns a new state. The shell (run-owner.ts) calls the model, appends, and tells what came of it.
//
//   starting ──started──► streaming ──finished──► settling ──► streaming   (tool results or steering messages)
//                             │                       │
//                             └───────────────────────┴──► ending ──appended──► ended
//
// Self-clocked: one append is in flight at a time (`inFlight`); text that arrives meanwhile joins the
// last item of the outbox, and goes out with the next append. The outbox keeps the model's order: text
// before a call is appended before the call.
import type { Event, OutputPart, RunEnded, Usage } from '@parley/protocol'
import { addOutput, addPart, fromParts, type RunOutput, toParts } from '../session/state/run-output.ts'
import type { Seq } from '../store/ports/entry.ts'

export type TextKind = 'text' | 'reasoning'

export interface CallItem {
  readonly type: 'call'
  readonly call: string
  readonly name: string
  readonly input: unknown
  readonly where: 'client' | 'server'
  readonly approval: boolean
  /** Unix milliseconds. */
  readonly until: number
}

type Item =
  | { readonly type: 'text'; readonly kind: TextKind; readonly text: string }
  | CallItem
  /** The run takes these steering messages, or rolls up: a snapshot. */
  | { readonly type: 'snapshot'; readonly take: readonly string[] }
  | { readonly type: 'end'; readonly end: Pick<RunEnded, 'reason' | 'error' | 'cut'> }

/** What does not change while this owner drives the run. */
export interface AboutRun {
  readonly run: string
  readonly epoch: number
  readonly model: string
  readonly message: string
  /** The node. */
  readonly owner: string
  /** Unix milliseconds of its `run.started`, once that is in the log. */
  readonly startedAt?: number
}

export interface RunState {
  readonly about: AboutRun
  readonly phase: 'starting' | 'streaming' | 'settling' | 'ending' | 'ended'
  /** The model call that is under way or comes next, from 0. */
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
  /** Entries on the subject since the last roll-up. */
  readonly entries: number
  /** Deltas received: the running estimate of output tokens, until the provider tells. */
  readonly deltas: number
  readonly usage: Usage
}

/** UTF-16 code units of one `run.output` at most. */
const OUTPUT_CHARS = 16 * 1024
const EMPTY_OUTBOX: readonly Item[] = []
/** Entries after which a run is rolled up into a snapshot. */
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

/** `run.started` is in the log. @param time of it @param output what readers hold now: less than before, after a restart */
export function started(state: RunState, seq: Seq, time: number, output: RunOutput | undefined): RunState {
  return { ...state, about: { ...state.about, startedAt: time }, phase: 'streaming', last: seq, output }
}

/** The model sent text. */
export function received(state: RunState, kind: TextKind, text: string): RunState {
  const { last, next, output, inFlight, entries } = state
  const outbox = withText(state.outbox, kind, text)
  return moved(state, last, next, output, outbox, inFlight, state.unsent + text.length, entries, state.deltas + 1)
}

/**
 * As `received` and then `take`, in one step, for text that waits for nothing: so most tokens go.
 * Undefined when something is in flight or has to go out before.
 */
export function passedOn(state: RunState, kind: TextKind, text: string): RunState | undefined {
  const { last, next, output, entries } = state
  const isFree = state.inFlight === undefined && state.outbox.length === 0 && state.phase === 'streaming'
  if (!isFree || entries >= SNAPSHOT_ENTRIES) return undefined
  const item: Item = { type: 'text', kind, text }
  return moved(state, last, next, output, EMPTY_OUTBOX, item, state.unsent + text.length, entries, state.deltas + 1)
}

/** What a token changes. A literal: spreading an object of this size costs twenty times as much, at every token. */
function moved(
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

/** The model called a tool. */
export function called(state: RunState, call: CallItem): RunState {
  return { ...state, outbox: [...state.outbox, call] }
}

/** The model's answer is complete; the step waits for its tools, or the run for its end. */
export function finished(state: RunState, usage: Usage): RunState {
  const reasoning = (state.usage.reasoningTokens ?? 0) + (usage.reasoningTokens ?? 0)
  return {
    ...state,
    phase: 'settling',
    usage: {
      inputTokens: state.usage.inputTokens + usage.inputTokens,
      outputTokens: state.usage.outputTokens + usage.outputTokens,
      ...(reasoning === 0 ? {} : { reasoningTokens: reasoning }),
    },
  }
}

/** The next model call begins, with what was steered in. */
export function nextStep(state: RunState, take: readonly string[]): RunState {
  const outbox: readonly Item[] = take.length === 0 ? state.outbox : [...state.outbox, { type: 'snapshot', take }]
  return { ...state, phase: 'streaming', step: state.step + 1, outbox }
}

/** Nothing more comes; what is in the outbox still goes out first. */
export function ending(state: RunState, end: Pick<RunEnded, 'reason' | 'error' | 'cut'>): RunState {
  if (state.phase === 'ending' || state.phase === 'ended') return state
  return { ...state, phase: 'ending', usage: usageSoFar(state), outbox: [...state.outbox, { type: 'end', end }] }
}

/** Of a step that was cut short the provider tells no usage: then every delta counts as a token. */
export function usageSoFar(state: RunState): Usage {
  return { ...state.usage, outputTokens: Math.max(state.usage.outputTokens, state.deltas) }
}

/** Somebody else ended the run, or owns it now: nothing of the outbox will be appended. */
export function fenced(state: RunState): RunState {
  return { ...state, phase: 'ended', outbox: [], inFlight: undefined, unsent: 0 }
}

export interface RunAppend {
  /** The tool call on whose subject it goes; undefined: on the run's own. */
  readonly call: string | undefined
  readonly event: Event
  readonly expect: Seq
  readonly rollup: boolean
}

/** Puts the next append in flight; the same state when one is already, or nothing is to be appended. */
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
  return moved(state, last, next, output, outbox, head, unsent, entries, deltas)
}

/** What was in flight is in the log. */
export function appended(state: RunState, seq: Seq): RunState {
  const item = state.inFlight
  if (item === undefined) return state
  const inFlight = undefined
  switch (item.type) {
    case 'text': {
      const output = addOutput(state.output, item.kind, state.next, item.text)
      const unsent = state.unsent - item.text.length
      return moved(state, seq, state.next + 1, output, state.outbox, inFlight, unsent, state.entries + 1, state.deltas)
    }
    case 'call':
      return { ...state, inFlight, output: addPart(state.output, { type: 'tool', call: item.call, name: item.name }) }
    case 'snapshot':
      return { ...state, inFlight, last: seq, entries: 0, output: fromParts(withTaken(state.output, item.take)) }
    case 'end':
      return { ...state, inFlight, last: seq, phase: 'ended' }
  }
}

/** The append could not be made, and may be tried again. */
export function putBack(state: RunState): RunState {
  const item = state.inFlight
  if (item === undefined) return state
  // A snapshot that was due comes by itself again.
  const again = item.type === 'snapshot' && item.take.length === 0 ? [] : [item]
  return { ...state, inFlight: undefined, outbox: [...again, ...state.outbox] }
}

/** Whether text of the model's waits for its turn behind what is in flight. */
export function holdsText({ outbox }: RunState): boolean {
  return outbox.length > 0 && outbox.some((item) => item.type === 'text')
}

/** What is in flight, as the log takes it; undefined when nothing is. */
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
    case 'call': {
      const { type: _, ...call } = item
      const event: Event = { type: 'tool.called', run, ...call, attempt: 1, step: state.step, epoch: about.epoch }
      return { call: item.call, event, expect: 0, rollup: false }
    }
    case 'snapshot': {
      const output = withTaken(state.output, item.take)
      const changes = item.take.length === 0 ? {} : { changes: true as const }
      const event: Event = { type: 'run.snapshot', ...about, next, output, ...changes }
      return { call, event, expect: last, rollup: true }
    }
    case 'end': {
      const output = toParts(state.output)
      const event: Event = {
        type: 'run.ended',
        ...about,
        ...item.end,
        usage: state.usage,
        next,
        output,
      }
      return { call, event, expect: last, rollup: true }
    }
  }
}

function withTaken(output: RunOutput | undefined, take: readonly string[]): OutputPart[] {
  return [...toParts(output), ...take.map((message) => ({ type: 'message' as const, message }))]
}
