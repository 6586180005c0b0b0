// Cooldown: limits repeated work, such as parsing a growing text, to a fixed share of the time. The longer a step took,
// the longer the next one waits, so that each token of a long answer costs no more than one of a short answer. Pure.

/** Milliseconds of rest for each millisecond of work. */
const REST_RATIO = 4

export interface Cooldown {
  /** When the next step may start. */
  readonly until: number
}

export const NO_COOLDOWN: Cooldown = { until: 0 }

/** @param startedAt, endedAt of the last step, by the same clock */
export function cooldownAfter(startedAt: number, endedAt: number): Cooldown {
  return { until: endedAt + (endedAt - startedAt) * REST_RATIO }
}

/** Milliseconds until the next step may start. */
export function remaining(cooldown: Cooldown, now: number): number {
  return Math.max(0, cooldown.until - now)
}
