// Backoff: how long a client waits before it tries again.

/** Milliseconds, but for `maxAttempts`. */
export interface ReconnectPolicy {
  /** The first wait is a random time up to this; it doubles with each failed attempt. */
  readonly baseMs: number
  readonly maxMs: number
  /** Failed attempts in a row before giving up; never, when left out. */
  readonly maxAttempts?: number
}

export const DEFAULT_RECONNECT: ReconnectPolicy = {
  baseMs: 250,
  maxMs: 15_000,
}

/** Full jitter: any time up to the bound is as likely, so that many clients spread out. */
export function backoff(policy: ReconnectPolicy, attempt: number, random: number): number {
  const bound = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempt - 1, 30))
  return Math.floor(random * bound)
}
