// RunView: what a client holds of one run. Pure. Its text is proven: each output's index is the one that
// follows on what is held, or a GapError is thrown and nothing is shown.
//
//   queued ──► running ◄──► waiting (for a client's tool or a person's decision)
//      │          └──────────────┴──► completed | cancelled | superseded | failed
//      └──────────────────────────────► cancelled | superseded | failed   (ended before it began)
import type {
  EventOf,
  OutputPart,
  RunEnded,
  RunError,
  RunOutput,
  RunSnapshot,
  RunStarted,
  Usage,
} from '@parley/protocol'
import { GapError } from '../parley-error.ts'

export type RunStatus = 'queued' | 'running' | 'waiting' | 'completed' | 'cancelled' | 'superseded' | 'failed'

/** A stretch of output of one kind; `count` outputs from `index` on. */
export interface TextPartView {
  readonly type: 'text' | 'reasoning'
  readonly text: string
  readonly index: number
  readonly count: number
}

export type RunPart =
  | TextPartView
  /** Here the model called a tool: `view.calls` has it. */
  | { readonly type: 'tool'; readonly call: string; readonly name: string }
  /** Here the run took a message that was sent to it with `steer`. */
  | { readonly type: 'message'; readonly message: string }

export interface RunView {
  readonly id: string
  /** The message that it answers. */
  readonly message: string | undefined
  readonly status: RunStatus
  /** Rises with each owner; 0 while it is not known. */
  readonly epoch: number
  readonly model: string | undefined
  readonly parts: readonly RunPart[]
  /** All text parts together, without the reasoning. */
  readonly text: string
  /** The index that its next output has. */
  readonly next: number
  /** The message that interrupts it, from when that was sent: no more output is to be expected. */
  readonly supersededBy: string | undefined
  /** Messages that it took by `steer`, as far as it told. */
  readonly steered: readonly string[]
  readonly usage?: Usage
  readonly error?: RunError
  /** Who cancelled or superseded it. */
  readonly by?: string
  /** The highest index that the person saw, where that was told. */
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

export function isEnded(run: RunView): boolean {
  return run.status !== 'queued' && run.status !== 'running' && run.status !== 'waiting'
}

export function started(run: RunView, event: RunStarted): RunView {
  const base = {
    ...run,
    message: event.message,
    epoch: event.epoch,
    model: event.model,
    status: isEnded(run) ? run.status : ('running' as const),
  }
  // A restart drops the output and goes on counting; the steps that it keeps come in a snapshot. A reader who
  // starts from a folded session is told of it as going on; it is the first that he hears of the run.
  if (event.mode === 'restart' || run.status === 'queued') {
    return { ...base, parts: [], text: '', steered: [], next: event.next }
  }
  if (event.next !== run.next) throw new GapError(run.id, run.next, event.next)
  return base
}

/**
 * @returns the same run when the output is held already, which a server does not do
 * @throws GapError
 */
export function output(run: RunView, event: RunOutput): RunView {
  const count = event.count ?? 1
  if (event.index + count <= run.next) return run
  if (event.index !== run.next) throw new GapError(run.id, run.next, event.index)
  const last = run.parts.at(-1)
  const parts =
    last !== undefined && last.type === event.kind
      ? [...run.parts.slice(0, -1), { ...last, text: last.text + event.text, count: last.count + count }]
      : [...run.parts, { type: event.kind, text: event.text, index: event.index, count }]
  return {
    ...run,
    status: run.status === 'queued' ? 'running' : run.status,
    parts,
    text: event.kind === 'text' ? run.text + event.text : run.text,
    next: event.index + count,
  }
}

/** @throws GapError when it holds less than the run already did */
export function snapshot(run: RunView, event: RunSnapshot): RunView {
  if (event.next < run.next) throw new GapError(run.id, run.next, event.next)
  const status = run.status === 'queued' ? 'running' : run.status
  return { ...replaced(run, event.output), ...startedFields(run, event), next: event.next, status }
}

/** @throws GapError when outputs are missing and the event does not bring them */
export function ended(run: RunView, event: RunEnded): RunView {
  if (event.output === undefined && event.next !== run.next) throw new GapError(run.id, run.next, event.next)
  const base = event.output === undefined ? run : replaced(run, event.output)
  const seen = event.seen?.index ?? run.seen
  return {
    ...base,
    ...startedFields(run, event),
    status: event.reason,
    next: event.next,
    supersededBy: undefined,
    usage: event.usage,
    ...(event.error === undefined ? {} : { error: event.error }),
    ...(event.by === undefined ? {} : { by: event.by }),
    ...(seen === undefined ? {} : { seen }),
  }
}

/** An owner that was replaced may be late with a call: its own epoch tells, and that no output names the call. */
export function isLate(run: RunView, event: EventOf<'tool.called'>): boolean {
  if (event.epoch === undefined || event.epoch >= run.epoch) return false
  return !run.parts.some((part) => part.type === 'tool' && part.call === event.call)
}

/** The place of a tool call in the output; a snapshot may have brought it before. */
export function called(run: RunView, call: string, name: string): RunView {
  if (run.parts.some((part) => part.type === 'tool' && part.call === call)) return run
  return { ...run, parts: [...run.parts, { type: 'tool', call, name }] }
}

/** A roll-up replaces the run's start as well, and says what that said. */
function startedFields(run: RunView, event: RunSnapshot | RunEnded): Pick<RunView, 'epoch' | 'model' | 'message'> {
  return {
    epoch: event.epoch ?? run.epoch,
    model: event.model ?? run.model,
    message: event.message ?? run.message,
  }
}

function replaced(run: RunView, outputs: readonly OutputPart[]): RunView {
  const parts: RunPart[] = []
  const steered: string[] = []
  let text = ''
  for (const part of outputs) {
    if (part.type === 'tool' || part.type === 'message') {
      parts.push(part)
      if (part.type === 'message') steered.push(part.message)
      continue
    }
    if (part.type === 'text') text += part.text
    const last = parts.at(-1)
    const count = part.lengths.length
    // What the person did not see is a part of its own there; `seen` says the same here.
    if (last?.type === part.type) {
      parts[parts.length - 1] = {
        ...last,
        text: last.text + part.text,
        count: last.count + count,
      }
    } else {
      parts.push({
        type: part.type,
        text: part.text,
        index: part.index,
        count,
      })
    }
  }
  return { ...run, parts, text, steered }
}
