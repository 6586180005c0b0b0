// CallAgain: a repeated `tool.called`: the call is offered to clients again, or waits for a person now.
import type { EventOf } from '@parley/protocol'
import type { SessionLog } from '../../store/ports/session-log.ts'
import type { SessionReplica } from '../session-replica.ts'
import type { CallState } from '../state/call-state.ts'
import { findCall } from '../state/session-state.ts'
import { compareAndAppend } from './compare-and-append.ts'

/** Offers a call again if it has no result and `isLost` returns true. */
export async function offerAgain(
  log: SessionLog,
  session: SessionReplica,
  id: string,
  isLost: (call: CallState) => boolean,
): Promise<void> {
  await compareAndAppend(log, session, (state) => {
    const found = findCall(state, id)
    if (found === undefined || found.run.phase === 'ended') return undefined
    const { call } = found
    if (call.result !== undefined || !isLost(call)) return undefined
    return { subject: `tool.${id}`, expect: call.last, event: calledAgain(call) }
  })
}

export function calledAgain({
  id,
  run,
  name,
  input,
  where,
  approval,
  attempt,
  until,
  step,
  next,
  marks,
  child,
  handoff,
  remote,
}: CallState): EventOf<'tool.called'> {
  // Compaction keeps only this repetition.
  const kept = {
    ...(next === undefined ? {} : { next }),
    ...(marks === undefined ? {} : { marks }),
    ...(child === undefined ? {} : { child }),
    ...(handoff === undefined ? {} : { handoff }),
    ...(remote ? { remote } : {}),
  }
  return {
    type: 'tool.called',
    run,
    call: id,
    name,
    input,
    where,
    approval,
    attempt: attempt + 1,
    until,
    step,
    ...kept,
  }
}
