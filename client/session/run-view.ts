// RunView: a client's copy of one run. Pure. It never has gaps: an output whose index does not follow the last one
// throws a GapError and changes nothing.
//
//   queued ──► running ◄──► waiting (for a client's tool or a person's decision)
//      │          └──────────────┴──► completed | cancelled | superseded | failed
//      └──────────────────────────────► cancelled | superseded | failed   (ended before it started)
import type {
  EventOf,
  OutputPart,
  ParentCall,
  RunEnded,
  RunError,
  RunNotice,
  RunOutput,
  RunSnapshot,
  RunStarted,
  Usage,
} from '@parley/protocol'
import { isHidden } from '@parley/protocol/pieces/hidden-data'
import { textGap } from '@parley/protocol/well-formed'
import { given } from '../given.ts'
import { GapError } from '../parley-error.ts'

export type RunStatus = 'queued' | 'running' | 'waiting' | 'completed' | 'cancelled' | 'superseded' | 'failed'

/** Consecutive output of one kind: `count` outputs, starting at `index`. */
export interface TextPartView {
  readonly type: 'text' | 'reasoning'
  readonly text: string
  readonly index: number
  readonly count: number
}

export type RunPart =
  | TextPartView
  /** A tool call that the model is still writing: its arguments so far. `tool` replaces it. */
  | { readonly type: 'input'; readonly call: string; readonly name: string; readonly text: string }
  /** An application's own data: the newest with its `id`, at the place of the first. */
  | { readonly type: 'data'; readonly name: string; readonly id?: string; readonly data: unknown }
  | { readonly type: 'source'; readonly url: string; readonly title?: string }
  /** `url` may be a `data:` URL. */
  | {
      readonly type: 'file'
      readonly mediaType: string
      readonly file?: string | undefined
      readonly url?: string | undefined
      readonly name?: string | undefined
    }
  /** The model called a tool at this point; `view.calls` has the call. */
  | { readonly type: 'tool'; readonly call: string; readonly name: string }
  /** The run took a steering message at this point. */
  | { readonly type: 'message'; readonly message: string }

export interface RunView {
  readonly id: string
  /** The message that the run answers. */
  readonly message: string | undefined
  /** Only of a child run: the run whose agent asked for it, and the call, in `view.calls`, that it answers. */
  readonly parent?: ParentCall
  /** The agent that answers now. Omitted: the server's default, or unknown before the run has started. */
  readonly agent?: string
  /** The agent that began the answer, if the view has its start. Another one than `agent` after a hand-off. */
  readonly begunBy?: string
  readonly status: RunStatus
  /** The number of the attempt: it grows with each driver of the run. 0 if unknown. */
  readonly epoch: number
  readonly model: string | undefined
  readonly parts: readonly RunPart[]
  /** The text parts, without reasoning. Text before and after a tool call or a steering message has white space between them. */
  readonly text: string
  /** The index of the next output. */
  readonly next: number
  /** The message that interrupts the run. Once set, no more output is expected. */
  readonly supersededBy: string | undefined
  /** Ids of the steering messages that the run has taken. */
  readonly steered: readonly string[]
  readonly usage?: Usage
  /** The answer is incomplete: it reached the token limit that was requested, or that the provider allows. */
  readonly cut?: true
  readonly error?: RunError
  /** What the model did not get as it was sent. Unknown codes are possible. */
  readonly notices?: readonly RunNotice[]
  /** The user who cancelled or superseded the run. */
  readonly by?: string
  /** The highest output index that the person has seen, if known. */
  readonly seen?: number
}

export function newRun(id: string, message: string | undefined, model?: string): RunView {
  return {
    id,
    message,
    status: 'queued',
    epoch: 0,
    model,
    parts: [],
    text: '',
    next: 0,
    supersededBy: undefined,
    steered: [],
  }
}

/**
 * Whether the run has reached a final status.
 * @example
 * const isBusy = [...session.state.runs.values()].some((run) => !isEnded(run))
 */
export function isEnded(run: RunView): boolean {
  return run.status !== 'queued' && run.status !== 'running' && run.status !== 'waiting'
}

export function started(run: RunView, event: RunStarted): RunView {
  const base = {
    ...run,
    ...whoAnswers(event),
    ...(event.mode === 'new' && event.agent !== undefined ? { begunBy: event.agent } : {}),
    message: event.message,
    epoch: event.epoch,
    model: event.model,
    status: isEnded(run) ? run.status : ('running' as const),
  }
  // A restart drops the output but continues the numbering; a snapshot brings the steps that it keeps. A reader of a
  // compacted session first sees the run as `continue`, so a queued run starts here, too.
  if (event.mode === 'restart' || run.status === 'queued') {
    return { ...base, parts: [], text: '', steered: [], next: event.next }
  }
  if (event.next !== run.next) throw new GapError(run.id, run.next, event.next)
  return base
}

/**
 * @returns the same object if the view already has the output, which a correct server never sends
 * @throws GapError
 */
export function output(run: RunView, event: RunOutput): RunView {
  const count = event.count ?? 1
  if (event.index + count <= run.next) return run
  if (event.index !== run.next) throw new GapError(run.id, run.next, event.index)
  const parts = withOutput(run.parts, event, count)
  return {
    ...run,
    status: run.status === 'queued' ? 'running' : run.status,
    parts,
    text: event.kind === 'text' ? withText(run.text, run.parts, event.text) : run.text,
    next: event.index + count,
  }
}

/** @throws GapError if the snapshot has fewer outputs than the run */
export function snapshot(run: RunView, event: RunSnapshot): RunView {
  if (event.next < run.next) throw new GapError(run.id, run.next, event.next)
  const status = run.status === 'queued' ? 'running' : run.status
  return { ...replaced(run, event.output), ...startedFields(run, event), next: event.next, status }
}

/** @throws GapError if outputs are missing and the event does not include them */
export function ended(run: RunView, event: RunEnded): RunView {
  if (event.output === undefined && event.next !== run.next) throw new GapError(run.id, run.next, event.next)
  const base = event.output === undefined ? run : replaced(run, event.output)
  const { cut, error, notices, by } = event
  const seen = event.seen?.index ?? run.seen
  return {
    ...base,
    ...startedFields(run, event),
    status: event.reason,
    next: event.next,
    supersededBy: undefined,
    usage: event.usage,
    ...given({ cut, error, notices, by, seen }),
  }
}

/** Whether a replaced driver made the call too late: its attempt is older, and no output names the call. */
export function isLate(run: RunView, event: EventOf<'tool.called'>): boolean {
  if (event.epoch === undefined || event.epoch >= run.epoch) return false
  return !run.parts.some((part) => part.type === 'tool' && part.call === event.call)
}

/** Records the call's position in the output. An earlier snapshot may have brought it already. */
export function called(run: RunView, call: string, name: string): RunView {
  if (run.parts.some((part) => part.type === 'tool' && part.call === call)) return run
  const at = run.parts.findIndex((part) => part.type === 'input' && part.call === call)
  const parts = at < 0 ? run.parts : without(run.parts, at)
  return { ...run, parts: [...parts, { type: 'tool', call, name }] }
}

/** The fields of `run.started`, which a compacted entry repeats because it replaces that entry. */
function startedFields(
  run: RunView,
  event: RunSnapshot | RunEnded,
): Pick<RunView, 'epoch' | 'model' | 'message' | 'parent' | 'agent'> {
  return {
    ...whoAnswers(event),
    epoch: event.epoch ?? run.epoch,
    model: event.model ?? run.model,
    message: event.message ?? run.message,
  }
}

function whoAnswers({ parent, agent }: RunStarted | RunSnapshot | RunEnded): Pick<RunView, 'parent' | 'agent'> {
  return given({ parent, agent })
}

/** @param parts before the added text */
function withText(text: string, parts: readonly RunPart[], added: string): string {
  const last = parts.findLast((part) => (part.type === 'text' ? part.text !== '' : isDivider(part)))
  const isApart = last !== undefined && last.type !== 'text'
  return text + (isApart ? textGap(text, added) : '') + added
}

/** Whether the texts before and after it have white space between them. */
function isDivider(part: RunPart): boolean {
  return part.type === 'tool' || part.type === 'message'
}

/** Adds an output, or compacted ones. Outputs of kinds that this version does not know add nothing. */
function withOutput(parts: readonly RunPart[], event: RunOutput, count: number): readonly RunPart[] {
  const last = parts.at(-1)
  const { index, text } = event
  switch (event.kind) {
    case 'text':
    case 'reasoning':
      return last?.type === event.kind
        ? [...parts.slice(0, -1), { ...last, text: last.text + text, count: last.count + count }]
        : [...parts, { type: event.kind, text, index, count }]
    case 'input': {
      const { call, name = '' } = event
      const at = parts.findLastIndex((part) => part.type === 'input' && part.call === call)
      const open = parts[at]
      if (open?.type !== 'input') return [...parts, { type: 'input', call, name, text }]
      return parts.with(at, { ...open, text: open.text + text })
    }
    case 'data': {
      const { name, id, data } = event
      // The text that follows is a message of its own.
      if (isHidden(event)) return [...parts, { type: 'text', text: '', index, count }]
      const part = { type: 'data' as const, name, ...given({ id }), data }
      const at = id === undefined ? -1 : parts.findIndex((other) => other.type === 'data' && other.id === id)
      return at < 0 ? [...parts, part] : parts.with(at, part)
    }
    case 'source': {
      const { url, title } = event
      return [...parts, { type: 'source', url, ...given({ title }) }]
    }
    case 'file': {
      const { type: _, run: __, kind: ___, index: ____, count: _____, text: ______, ...file } = event
      return [...parts, { type: 'file', ...file }]
    }
    default:
      return parts
  }
}

/** The parts without one of them. The texts before and after it are one. */
function without(parts: readonly RunPart[], at: number): readonly RunPart[] {
  const before = parts[at - 1]
  const after = parts[at + 1]
  const isText = before?.type === 'text' || before?.type === 'reasoning'
  if (!isText || after?.type !== before.type) return parts.toSpliced(at, 1)
  const whole = { ...before, text: before.text + after.text, count: before.count + after.count }
  return parts.toSpliced(at - 1, 3, whole)
}

function replaced(run: RunView, outputs: readonly OutputPart[]): RunView {
  const called = new Set(outputs.flatMap((part) => (part.type === 'tool' ? [part.call] : [])))
  let parts: readonly RunPart[] = []
  const steered: string[] = []
  let text = ''
  for (const part of outputs) {
    if (part.type === 'tool' || part.type === 'message') {
      parts = [...parts, part]
      if (part.type === 'message') steered.push(part.message)
      continue
    }
    if (part.type === 'input' && called.has(part.call)) continue
    if (part.type === 'text') text = withText(text, parts, part.text)
    // The log keeps unseen output as a separate part; here `seen` says the same.
    const { type: kind, lengths, unseen: _, ...fields } = part
    parts = withOutput(parts, { type: 'run.output', run: run.id, kind, ...fields } as RunOutput, lengths.length)
  }
  return { ...run, parts, text, steered }
}
