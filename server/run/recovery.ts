// Recovery: how the next owner of a run goes on from what the log holds of it. Pure.
//
//   nothing put out yet                → continue: the step is simply made anew
//   the last thing is a tool call      → continue: the step is complete, wait for its results
//   unfinished text, can be prefilled  → continue: the model goes on from the stored text
//   unfinished text otherwise          → restart: the step's text is dropped and made anew; steps that
//                                        are complete, and the effects of their tools, stay
import type { OutputPart } from '@parley/protocol'
import type { Model } from '../model/model.ts'
import { toParts } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'

export interface Recovery {
  readonly mode: 'new' | 'continue' | 'restart'
  /** What readers are to hold when it goes on. */
  readonly kept: readonly OutputPart[]
  /** The model call to make next, or whose tools to wait for. */
  readonly step: number
  /** The step's calls are made: wait for their results before the next model call. */
  readonly settle: boolean
}

export function recover(run: RunRecord, prefill: Model['prefill']): Recovery {
  if (run.epoch === 0) return { mode: 'new', kept: [], step: 0, settle: false }
  const parts = toParts(run.output)
  const steps = Math.max(-1, ...[...run.calls.values()].map((call) => call.step)) + 1
  const last = parts.at(-1)
  if (last === undefined || last.type === 'message')
    return { mode: 'continue', kept: parts, step: steps, settle: false }
  if (last.type === 'tool') return { mode: 'continue', kept: parts, step: steps - 1, settle: true }
  const begun = beginOfStep(parts)
  const unfinished = parts.slice(begun)
  if (prefill === 'exact' || (prefill === 'text' && unfinished.every((part) => part.type === 'text'))) {
    return { mode: 'continue', kept: parts, step: steps, settle: false }
  }
  return { mode: 'restart', kept: parts.slice(0, begun), step: steps, settle: false }
}

/** The first part after the last tool call or taken message. */
function beginOfStep(parts: readonly OutputPart[]): number {
  return parts.findLastIndex((part) => part.type === 'tool' || part.type === 'message') + 1
}
