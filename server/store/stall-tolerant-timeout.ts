// stallTolerantTimeout: a bound on something that may never answer. Time in which this process itself stood still (a machine that was paused, a
// debugger, a very long turn of the event loop) does not count: the answer may be there, and only not have been read yet.

/** Milliseconds. */
const TICK_MS = 1_000

/**
 * @param ms about how long it may take, in which the process runs
 * @param overdue called once
 * @returns ends the watch
 */
export function stallTolerantTimeout(ms: number, overdue: () => void): () => void {
  // However long the process stood still, that is one tick: so it has to be two at least.
  const step = Math.min(TICK_MS, ms / 2)
  let left = Math.ceil(ms / step)
  const timer = setInterval(() => {
    left -= 1
    if (left > 0) return
    clearInterval(timer)
    overdue()
  }, step)
  timer.unref()
  return () => clearInterval(timer)
}
