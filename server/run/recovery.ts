// Recovery: how the next driver of a run continues from the log. Pure.
//
//   no output yet                      → continue: repeat the step
//   the output ends with a tool call   → continue: the step is complete, wait for its results
//   unfinished text, can be prefilled  → continue: the model continues the stored text. A model that is asked for the rest gets at
//                                        least a sentence.
//   unfinished text otherwise          → restart: drop the step's text and repeat the step; complete steps
//                                        and the effects of their tools stay
import type { OutputPart } from '@parley/protocol'
import { STATE_DATA } from '../model/agui/agent-part.ts'
import { agentMarks } from '../model/agui/interrupts.ts'
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

export function recover(run: RunRecord, { prefill, remote }: Pick<Model, 'prefill' | 'remote'>): Recovery {
  if (run.epoch === 0) return { mode: 'new', kept: [], step: 0, awaitResults: false }
  const parts = toParts(run.output)
  const steps = stepsIn(run, parts)
  // The last driver died between its restart and the snapshot, without which readers lack these steps.
  if (run.unreturned) return { mode: 'restart', kept: parts, step: steps, awaitResults: false }
  if (remote === true) return recoverRemote(run, parts)
  // Data comes from tools: it says nothing about the model's answer.
  const last = parts.findLast((part) => part.type !== 'data')
  if (last === undefined || last.type === 'message')
    return { mode: 'continue', kept: parts, step: steps, awaitResults: false }
  if (last.type === 'tool') return { mode: 'continue', kept: parts, step: steps - 1, awaitResults: true }
  const kept = completeParts(parts)
  const unfinished = parts.filter((part) => !kept.includes(part))
  // An unfinished call cannot be continued.
  const isPrefill = unfinished.every((part) => part.type !== 'input')
  if (isPrefill && isContinued(unfinished, prefill)) {
    return { mode: 'continue', kept: parts, step: steps, awaitResults: false }
  }
  return { mode: 'restart', kept, step: steps, awaitResults: false }
}

function isContinued(unfinished: readonly OutputPart[], prefill: Model['prefill']): boolean {
  const last = unfinished.at(-1)
  switch (prefill) {
    case 'none':
      return false
    case 'exact':
      return true
    case 'text':
      return unfinished.every((part) => part.type === 'text')
    case 'tail':
      return last?.type === 'text' && last.text.trim() !== ''
    case 'asked':
      return last?.type === 'text' && (SENTENCE.test(last.text) || last.text.length >= MANY_CHARS)
  }
}

/** A sentence has ended, and another one may have begun. */
const SENTENCE = /[.!?…:;]["'”’)\]]*\s|[。！？；]|\n/u
const MANY_CHARS = 160

/**
 * A remote agent's step is complete with a call that the run makes, or with a question to people: calls that the agent makes itself may
 * be anywhere in it. Nobody can continue its stream, so an incomplete step is repeated.
 */
function recoverRemote(run: RunRecord, parts: readonly OutputPart[]): Recovery {
  const ends = (part: OutputPart): boolean => {
    if (part.type !== 'tool') return part.type === 'message'
    const call = run.calls.get(part.call)
    return call?.remote !== true || agentMarks(call.marks).interrupt !== undefined
  }
  const begun = parts.findLastIndex(ends) + 1
  // The state has replaced the one before, so that is lost.
  const kept = parts.filter((part, at) => at < begun || (part.type === 'data' && part.name === STATE_DATA))
  const steps = stepsIn(run, kept)
  if (kept.length < parts.length) return { mode: 'restart', kept, step: steps, awaitResults: false }
  const awaitResults = parts[begun - 1]?.type === 'tool'
  return { mode: 'continue', kept, step: awaitResults ? steps - 1 : steps, awaitResults }
}

function stepsIn(run: RunRecord, parts: readonly OutputPart[]): number {
  const steps = parts.map((part) => (part.type === 'tool' ? (run.calls.get(part.call)?.step ?? -1) : -1))
  return Math.max(-1, ...steps) + 1
}
