// stallTolerantTimeout: a timeout for an operation that may never complete. Time during which this process was stalled
// (a suspended machine, a debugger, a very long event-loop turn) does not count: the answer may have arrived unread.

const TICK_MS = 1_000

/**
 * @param ms how long the operation may take, approximately, while the process runs
 * @param onTimeout called at most once
 * @returns cancels the timeout
 */
export function stallTolerantTimeout(ms: number, onTimeout: () => void): () => void {
  // A stall of any length counts as one tick, so a timeout needs at least two.
  const step = Math.min(TICK_MS, ms / 2)
  let ticks = Math.ceil(ms / step)
  const timer = setInterval(() => {
    ticks -= 1
    if (ticks > 0) return
    clearInterval(timer)
    onTimeout()
  }, step)
  timer.unref()
  return () => clearInterval(timer)
}
