// CallView: a client's copy of one tool call. Pure.
//
//   [deciding] ──► offered ◄──► claimed ──► completed | failed
//                     └─ run ended first ─► dropped
import type { EventOf, FormContent, FormSchema, QuestionAction } from '@parley/protocol'
import { given } from '../given.ts'

export type CallStatus = 'deciding' | 'offered' | 'claimed' | 'completed' | 'failed' | 'dropped'

export interface CallView {
  readonly id: string
  readonly run: string
  readonly name: string
  readonly input: unknown
  readonly where: 'client' | 'server'
  readonly approval: boolean
  readonly status: CallStatus
  /** Grows each time that the call is offered again because a claim was lost. */
  readonly attempt: number
  /** The call asks another agent: the run, in `view.runs`, that answers it. */
  readonly child?: { readonly run: string; readonly agent: string }
  /** The call hands the answer to this agent: from its result on, that agent speaks. */
  readonly handoff?: string
  readonly step: number
  /** Unix milliseconds at which the call times out. */
  readonly until: number
  readonly claim?: { readonly connection: string; readonly until: number }
  readonly decision?: {
    readonly decision: 'approve' | 'deny'
    readonly by: string
    readonly reason?: string
  }
  /** How far the tool is, while the call has no result. At least one of `text` and `done`. */
  readonly progress?: { readonly text?: string; readonly done?: number; readonly total?: number }
  /** What the running tool asked a person, in order. */
  readonly questions?: readonly QuestionView[]
  readonly output?: unknown
  readonly error?: string
  /** The source of the result: a connection, a node, or `server`. */
  readonly by?: string
}

/** A question of a running tool. */
export interface QuestionView {
  readonly id: string
  readonly message: string
  /** The form of the answer. */
  readonly schema: FormSchema
  /** Unix milliseconds at which the server gives up waiting. */
  readonly until: number
  readonly answer?: {
    readonly action: QuestionAction
    readonly content?: FormContent
    /** The user, or `server` if nobody answered in time. */
    readonly by: string
  }
}

export type ToolEvent = EventOf<
  'tool.called' | 'tool.claimed' | 'tool.decided' | 'tool.asked' | 'tool.answered' | 'tool.result' | 'tool.progress'
>

/**
 * Whether the call has reached its final status.
 * @example
 * const open = [...session.state.calls.values()].filter((call) => !isSettled(call))
 */
export function isSettled(call: CallView): boolean {
  return call.status === 'completed' || call.status === 'failed' || call.status === 'dropped'
}

/** Whether the call waits for a client or a person instead of for the server. */
export function isForClient(call: CallView): boolean {
  return call.status === 'deciding' || openQuestion(call) !== undefined || (call.where === 'client' && !isSettled(call))
}

/**
 * The question of the call that waits for an answer.
 * @example
 * const questions = [...session.state.calls.values()].flatMap((call) => openQuestion(call) ?? [])
 */
export function openQuestion(call: CallView): QuestionView | undefined {
  const last = call.questions?.at(-1)
  return last?.answer === undefined && !isSettled(call) ? last : undefined
}

/** @returns undefined for an event of an unknown call */
export function applyCallEvent(call: CallView | undefined, event: ToolEvent): CallView | undefined {
  if (event.type === 'tool.called') {
    const view: CallView = {
      ...(call && unclaimed(call)),
      id: event.call,
      run: event.run,
      name: event.name,
      input: event.input,
      where: event.where,
      approval: event.approval,
      attempt: event.attempt,
      step: event.step,
      until: event.until,
      status: 'offered',
      ...given({ child: event.child, handoff: event.handoff }),
    }
    if (call !== undefined && isSettled(call)) return { ...view, status: call.status }
    return view.approval && view.decision === undefined ? { ...view, status: 'deciding' } : view
  }
  if (call === undefined || isSettled(call)) return call
  if (event.type === 'tool.claimed') {
    return {
      ...call,
      status: 'claimed',
      claim: { connection: event.connection, until: event.until },
    }
  }
  if (event.type === 'tool.decided') {
    const { decision, by, reason } = event
    return { ...call, status: 'offered', decision: { decision, by, ...given({ reason }) } }
  }
  if (event.type === 'tool.progress') {
    const { type: _, run: __, call: ___, ...progress } = event
    return { ...call, progress: progress as NonNullable<CallView['progress']> }
  }
  if (event.type === 'tool.asked') {
    const { question: id, message, schema, until } = event
    return { ...call, questions: [...(call.questions ?? []), { id, message, schema, until }] }
  }
  if (event.type === 'tool.answered') {
    const { question, action, content, by } = event
    const answer = { action, by, ...given({ content }) }
    return {
      ...call,
      questions: (call.questions ?? []).map((asked) => (asked.id === question ? { ...asked, answer } : asked)),
    }
  }
  const { output, error, by } = event
  return {
    ...unclaimed(call),
    ...(error === undefined ? { status: 'completed', output } : { status: 'failed', error }),
    by,
  }
}

/** The call after its run has ended without a result of it. */
export function dropped(call: CallView): CallView {
  return isSettled(call) ? call : { ...unclaimed(call), status: 'dropped' }
}

function unclaimed({ claim: _, progress: __, ...kept }: CallView): CallView {
  return kept
}
