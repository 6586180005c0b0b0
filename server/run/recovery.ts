// Recovery: how the next driver of a run continues from the log. Pure.
//
//   no output yet                      → continue: repeat the step
//   the output ends with a tool call   → continue: the step is complete, wait for its results
//   unfinished text, can be prefilled  → continue: the model continues the stored text
//   unfinished text otherwise          → restart: drop the step's text and repeat the step; complete steps
//                                        and the effects of their tools stay
import type { OutputPart } from '@parley/protocol'
import type { Model } from '../model/model.ts'
import { completeParts, toParts } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'

export interface Recovery {
  readonly mode: 'new' | 'continue' | 'restart'
  /** The output that readers keep. */
  readonly kept: readonly OutputPart[]
  /** The next model call, or the one whose tools to wait for. */
  readonly step: number
  /** Wait for the results of the step's calls before the next model call. */
  readonly awaitResults: boolean
}

export function recover(run: RunRecord, prefill: Model['prefill']): Recovery {
  if (run.epoch === 0) return { mode: 'new', kept: [], step: 0, awaitResults: false }
  const parts = toParts(run.output)
  const steps = Math.max(-1, ...[...run.calls.values()].map((call) => call.step)) + 1
  // The last driver died between its restart and the snapshot, without which readers lack these steps.
  if (run.unreturned) return { mode: 'restart', kept: parts, step: steps, awaitResults: false }
  // Data comes from tools: it says nothing about the model's answer.
  const last = parts.findLast((part) => part.type !== 'data')
  if (last === undefined || last.type === 'message')
    return { mode: 'continue', kept: parts, step: steps, awaitResults: false }
  if (last.type === 'tool') return { mode: 'continue', kept: parts, step: steps - 1, awaitResults: true }
  const kept = completeParts(parts)
  const unfinished = parts.filter((part) => !kept.includes(part))
  // An unfinished call cannot be continued.
  const isPrefill = unfinished.every((part) => part.type !== 'input')
  if (isPrefill && (prefill === 'exact' || (prefill === 'text' && unfinished.every((part) => part.type === 'text')))) {
    return { mode: 'continue', kept: parts, step: steps, awaitResults: false }
  }
  return { mode: 'restart', kept, step: steps, awaitResults: false }
}
