// Backoff: how long a client waits before it retries.

/** All times are in milliseconds. */
export interface ReconnectPolicy {
  /** Upper limit of the first wait, which is random. The limit doubles with each failed attempt, up to `maxMs`. */
  readonly baseMs: number
  readonly maxMs: number
  /** Failed attempts in a row before the client gives up. Default: no limit. */
  readonly maxAttempts?: number
}

export const DEFAULT_RECONNECT: ReconnectPolicy = {
  baseMs: 250,
  maxMs: 8_000,
}

/** Full jitter: all times up to the limit are equally likely, so that many clients spread out. */
export function backoff(policy: ReconnectPolicy, attempt: number, random: number): number {
  const limit = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempt - 1, 30))
  return Math.floor(random * limit)
}
