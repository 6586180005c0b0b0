// CallWait: waits for a change of a tool call, and for times that are in the log.
import type { SessionReplica } from '../session/session-replica.ts'
import type { CallState } from '../session/state/call-state.ts'
import { findCall } from '../session/state/session-state.ts'

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
  const wait = new AbortController()
  const timer = setTimeout(() => wait.abort(TIMED_OUT), Math.max(0, Math.min(ms, 2 ** 31 - 1)))
  const onAbort = (): void => wait.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    await session.until((state) => {
      const latest = findCall(state, call.id)?.call
      return latest === undefined || latest.last !== call.last ? true : undefined
    }, wait.signal)
  } catch (error) {
    if (error !== TIMED_OUT) throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

const TIMED_OUT = new DOMException('The wait has timed out.', 'TimeoutError')
