// Pace: how often something that costs time may be done while a text grows. Pure. Whatever one turn of it costs, all
// turns together take no more than a fixed share of the time, so that a long answer costs no more for each of its
// tokens than a short one.

/** For each millisecond that a turn took, so many pass before the next one. */
const REST = 4

export interface Pace {
  /** Before this time the work is not due. */
  readonly notBefore: number
}

export const AT_ONCE: Pace = { notBefore: 0 }

/** @param began when the last turn began @param ended when it ended, by the same clock */
export function rested(began: number, ended: number): Pace {
  return { notBefore: ended + (ended - began) * REST }
}

/** Milliseconds until the work is due; 0 when it is. */
export function wait(pace: Pace, now: number): number {
  return Math.max(0, pace.notBefore - now)
}
