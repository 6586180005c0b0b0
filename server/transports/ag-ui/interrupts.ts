// Interrupts of AG-UI: what a run, and the child runs that it waits for, need from people. Pure.
import { awaitsDecision, type CallState, openQuestion } from '../../session/state/call-state.ts'
import { openBelow } from '../../session/state/child-runs.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { findRun, type SessionState } from '../../session/state/session-state.ts'
import type { Interrupt } from './ag-ui-events.ts'

interface CallOfRun {
  readonly run: RunRecord
  readonly call: CallState
}

export function interruptsOf(state: SessionState, id: string): readonly Interrupt[] {
  const top = findRun(state, id)
  if (top === undefined) return []
  return [top, ...openBelow(state, id)].flatMap((run) =>
    [...run.calls.values()].flatMap((call) => interruptOf(state, { run, call }) ?? []),
  )
}

/** The call of the run of a message for which, directly or not, a call of a child run is made. */
export function topCall(state: SessionState, { run, call }: CallOfRun): CallOfRun {
  if (run.parent === undefined) return { run, call }
  const parent = findRun(state, run.parent.run)
  const asking = parent?.calls.get(run.parent.call)
  return parent === undefined || asking === undefined ? { run, call } : topCall(state, { run: parent, call: asking })
}

function interruptOf(state: SessionState, found: CallOfRun): Interrupt | undefined {
  const { run, call } = found
  if (call.result !== undefined) return undefined
  // The client knows only the calls of the run that it follows.
  const toolCallId = topCall(state, found).call.id
  if (awaitsDecision(call)) {
    const message = run.parent === undefined ? `May ${call.name} run?` : askedFor(run, call)
    const responseSchema = APPROVAL
    return { id: call.id, reason: 'confirmation', message, toolCallId, responseSchema, ...until(call.until) }
  }
  const asked = openQuestion(call)
  if (asked === undefined) return undefined
  const { question, message, schema } = asked
  const form = schema === undefined ? {} : { responseSchema: schema }
  return { id: `${call.id}.${question}`, reason: 'input_required', message, toolCallId, ...form, ...until(asked.until) }
}

/** Characters of the input that the question shows. */
const INPUT_CHARS = 2_000

/** The client has no other sign of the call. */
function askedFor({ agent = 'another agent' }: RunRecord, { name, input }: CallState): string {
  const text = JSON.stringify(input)
  const shown = text.length > INPUT_CHARS ? `${text.slice(0, INPUT_CHARS)}…` : text
  return `May ${name} run for ${agent}, with this input: ${shown}?`
}

const APPROVAL = {
  type: 'object',
  properties: { approved: { type: 'boolean' }, reason: { type: 'string' } },
  required: ['approved'],
}

function until(time: number): Pick<Interrupt, 'expiresAt'> {
  return { expiresAt: new Date(time).toISOString() }
}
