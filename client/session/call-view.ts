// CallView: what a client holds of one tool call. Pure.
//
//   [deciding] ──► offered ◄──► claimed ──► completed | failed
//                     └─ its run ended first ─► dropped
import type { EventOf } from '@parley/protocol'

export type CallStatus = 'deciding' | 'offered' | 'claimed' | 'completed' | 'failed' | 'dropped'

export interface CallView {
  readonly id: string
  readonly run: string
  readonly name: string
  readonly input: unknown
  readonly where: 'client' | 'server'
  readonly approval: boolean
  readonly status: CallStatus
  /** Rises when a claimant was lost and the call is on offer again. */
  readonly attempt: number
  readonly step: number
  /** Unix milliseconds after which it is given up. */
  readonly until: number
  readonly claim?: { readonly connection: string; readonly until: number }
  readonly decision?: {
    readonly decision: 'approve' | 'deny'
    readonly by: string
    readonly reason?: string
  }
  readonly output?: unknown
  readonly error?: string
  /** Who gave the result: a connection, a node, or `server`. */
  readonly by?: string
}

type ToolEvent = EventOf<'tool.called' | 'tool.claimed' | 'tool.decided' | 'tool.result'>

/** Whether nothing more is to come of it. */
export function isSettled(call: CallView): boolean {
  return call.status === 'completed' || call.status === 'failed' || call.status === 'dropped'
}

/** Whether it waits for a client or a person, and not for the server. */
export function isForClient(call: CallView): boolean {
  return call.status === 'deciding' || (call.where === 'client' && !isSettled(call))
}

/** @returns undefined for an event of a call that was never made */
export function foldCall(call: CallView | undefined, event: ToolEvent): CallView | undefined {
  if (event.type === 'tool.called') {
    const { claim: _, ...kept } = call ?? {}
    const view: CallView = {
      ...kept,
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
    const reason = event.reason === undefined ? {} : { reason: event.reason }
    return {
      ...call,
      status: 'offered',
      decision: { decision: event.decision, by: event.by, ...reason },
    }
  }
  const { claim: _, ...kept } = call
  return event.error === undefined
    ? { ...kept, status: 'completed', output: event.output, by: event.by }
    : { ...kept, status: 'failed', error: event.error, by: event.by }
}

/** Its run ended before it had a result. */
export function dropped(call: CallView): CallView {
  if (isSettled(call)) return call
  const { claim: _, ...kept } = call
  return { ...kept, status: 'dropped' }
}
