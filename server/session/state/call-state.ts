// CallState: the state of one tool call, derived from the log. Pure.
//
//   called ──► [decided: approve] ──► claimed ──► result
//      │            └ deny ─────────────────────────▲
//      └ called again (attempt + 1): the claim was lost, and the call is offered again
//
// While a server tool runs (claimed), it may ask a person questions, one at a time.
//
// Each step is a conditional append to the call's own subject. So at most one claim is valid at a time, and the first
// result ends the call.
import type { EventOf, ToolAnswered, ToolAsked, ToolCalled, ToolResult } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'

export interface CallState {
  readonly id: string
  readonly run: string
  readonly name: string
  readonly input: unknown
  readonly where: 'client' | 'server'
  readonly approval: boolean
  readonly attempt: number
  readonly step: number
  /** The index of the next output, if the log has it. */
  readonly next: number | undefined
  /** The attempt of the driver that made the call, if the log has it. */
  readonly epoch: number | undefined
  /** What the model's provider needs back with the call. Opaque. */
  readonly marks: string | undefined
  /** The run that answers it, if the call asks another agent. */
  readonly child: ToolCalled['child']
  /** The agent to which it hands the conversation. */
  readonly handoff: string | undefined
  /** A remote agent makes the call itself: the server only waits for a person, if it must, and for the result. */
  readonly remote: boolean
  /** Unix milliseconds of the timeout: of the decision while one is pending, then of the result. */
  readonly until: number
  /** The last sequence number on the call's subject. */
  readonly last: Seq
  readonly decision: 'approve' | 'deny' | undefined
  /** Why the person decided so. */
  readonly reason: string | undefined
  readonly decidedAt: number | undefined
  /** The id of the `tool.decide` command. */
  readonly decidedBy: string | undefined
  readonly claim:
    | { readonly connection: string; readonly user?: string; readonly until: number; readonly command?: string }
    | undefined
  /** In order. The last one is open if it has no answer. */
  readonly questions: readonly QuestionState[]
  readonly result: ToolResult | undefined
}

export interface QuestionState extends Pick<ToolAsked, 'question' | 'message' | 'schema' | 'until'> {
  readonly answer: Pick<ToolAnswered, 'action' | 'content' | 'by' | 'command'> | undefined
}

export type ToolEvent = EventOf<
  'tool.called' | 'tool.claimed' | 'tool.decided' | 'tool.asked' | 'tool.answered' | 'tool.result' | 'tool.progress'
>

/** @returns undefined for an event of an unknown call, which only a broken log contains */
export function applyToCall(
  call: CallState | undefined,
  seq: Seq,
  time: number,
  event: ToolEvent,
): CallState | undefined {
  if (event.type === 'tool.called') {
    return {
      id: event.call,
      run: event.run,
      name: event.name,
      input: event.input,
      where: event.where,
      approval: event.approval,
      attempt: event.attempt,
      step: event.step,
      next: event.next ?? call?.next,
      epoch: event.epoch ?? call?.epoch,
      marks: event.marks ?? call?.marks,
      child: event.child ?? call?.child,
      handoff: event.handoff ?? call?.handoff,
      remote: event.remote === true,
      until: event.until,
      last: seq,
      decision: call?.decision,
      reason: call?.reason,
      decidedAt: call?.decidedAt,
      decidedBy: call?.decidedBy,
      claim: undefined,
      questions: call?.questions ?? [],
      result: call?.result,
    }
  }
  if (call === undefined) return undefined
  switch (event.type) {
    case 'tool.claimed': {
      const command = event.command === undefined ? {} : { command: event.command }
      const user = event.user === undefined ? {} : { user: event.user }
      return { ...call, last: seq, claim: { connection: event.connection, ...user, until: event.until, ...command } }
    }
    case 'tool.decided':
      return {
        ...call,
        last: seq,
        decision: event.decision,
        reason: event.reason,
        decidedAt: time,
        decidedBy: event.command,
      }
    case 'tool.asked': {
      const { question, message, schema, until } = event
      return {
        ...call,
        last: seq,
        questions: [...call.questions, { question, message, schema, until, answer: undefined }],
      }
    }
    case 'tool.answered': {
      const { action, content, by, command } = event
      const answer = { action, content, by, command }
      const questions = call.questions.map((asked) =>
        asked.question === event.question ? { ...asked, answer } : asked,
      )
      return { ...call, last: seq, questions }
    }
    case 'tool.result':
      return { ...call, last: seq, result: call.result ?? event, claim: undefined }
    case 'tool.progress':
      return { ...call, last: seq }
  }
}

/** The question that waits for an answer. */
export function openQuestion(call: CallState): QuestionState | undefined {
  const last = call.questions.at(-1)
  return last?.answer === undefined && call.result === undefined ? last : undefined
}

/** What the model learns of a denied call. */
export function denial({ reason }: Pick<CallState, 'reason'>): string {
  return reason === undefined || reason === '' ? 'The call was denied.' : `The call was denied: ${reason}`
}

/** Whether the call still needs a person's approval. */
export function awaitsDecision(call: CallState): boolean {
  return call.approval && call.decision === undefined && call.result === undefined
}
