// CallWait: waits for a change of a tool call, and for times that are in the log.
import { type SessionReplica, TIMED_OUT } from '../session/session-replica.ts'
import type { CallState } from '../session/state/call-state.ts'
import { findCall, type SessionState } from '../session/state/session-state.ts'

/**
 * @returns the milliseconds until a time of the log. It reads the wall clock once for each time, so that a later step of
 * that clock moves no deadline.
 */
export function deadlines(): (until: number) => number {
  const known = new Map<number, number>()
  return (until) => {
    const at = known.get(until) ?? performance.now() + until - Date.now()
    known.set(until, at)
    return Math.ceil(at - performance.now())
  }
}

/** Resolves when the call has changed, or after `ms`. */
export async function changed(
  session: SessionReplica,
  call: CallState,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const isChanged = (state: SessionState): true | undefined => {
    const latest = findCall(state, call.id)?.call
    return latest === undefined || latest.last !== call.last ? true : undefined
  }
  try {
    await session.until(isChanged, signal, ms)
  } catch (error) {
    if (error !== TIMED_OUT) throw error
  }
}
