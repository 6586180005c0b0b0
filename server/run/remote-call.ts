// RemoteCall: a call that a remote agent makes itself, or that stands for what it asks people. The run only waits for people; the agent
// reports the rest.
import { FormSchema } from '@parley/protocol'
import { z } from 'zod'
import { agentMarks } from '../model/agui/interrupts.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { type CallState, denial } from '../session/state/call-state.ts'
import { hasCall } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import type { ToolOutcome } from '../tool/run-tool.ts'
import { CallQuestions, type CallQuestionsOptions } from './call-questions.ts'

/** Whether the agent will report the result with its next answer: it has asked people, and the run has not lost its answer. */
export function isPending(call: CallState, run: RunRecord | undefined): boolean {
  return call.remote && agentMarks(call.marks).interrupt === undefined && hasCall(run?.output, call.id)
}

/** The input of a call that asks a question. */
const Question = z.object({ message: z.string(), schema: FormSchema })

/**
 * Asks, if the call is a question. A decision is already made.
 * @returns undefined if the agent makes the call with its next answer
 */
export async function outcomeOfRemote(
  options: CallQuestionsOptions,
  session: SessionReplica,
  call: CallState,
  signal: AbortSignal,
): Promise<ToolOutcome | undefined> {
  const { call: own, interrupt } = agentMarks(call.marks)
  if (interrupt === undefined) return { error: LOST }
  if (call.decision === 'deny') return { error: denial(call) }
  if (call.decision === 'approve') return own === undefined ? { output: { approved: true } } : undefined
  const question = Question.safeParse(call.input)
  if (!question.success) return { error: 'The remote agent asked something other than a question.' }
  const answer = await new CallQuestions(options, session, call).ask(question.data, signal)
  if (answer.action === 'accept') return { output: answer.content }
  return { error: answer.action === 'decline' ? 'The person declined to answer.' : 'Nobody answered.' }
}

const LOST = 'The server stopped while the remote agent made the call. The call may have taken effect.'
