// Outage: reports that the log has been unavailable for more than a moment, and that it has recovered. Recovery means
// that the log can be written, and that all followed sessions were compared with it.
import type { Subscription } from '../../ports/session-log.ts'
import type { ConnectionState } from '../connection.ts'

export interface OutageOptions {
  readonly health: {
    readonly state: ConnectionState
    onState(listener: (state: ConnectionState) => void): Subscription
  }
  /** Whether all followed sessions are live. */
  caughtUp(): boolean
  /** Milliseconds for which an outage is not reported; default 1,000. */
  readonly toleranceMs?: number
}

const TOLERANCE_MS = 1_000
const POLL_MS = 50

export class Outage {
  readonly #options: OutageOptions
  readonly #listeners = new Set<(away: boolean) => void>()
  readonly #states: Subscription
  #timer: NodeJS.Timeout | undefined
  #away = false

  constructor(options: OutageOptions) {
    this.#options = options
    this.#states = options.health.onState((state) => this.#changed(state))
  }

  /** @param listener called with each change; must not throw */
  onChange(listener: (away: boolean) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#states.close()
    this.#listeners.clear()
  }

  #changed(state: ConnectionState): void {
    clearTimeout(this.#timer)
    if (state === 'away' && !this.#away) {
      this.#timer = setTimeout(() => this.#become(true), this.#options.toleranceMs ?? TOLERANCE_MS).unref()
    } else if (state === 'live' && this.#away) this.#poll()
  }

  #poll(): void {
    if (this.#options.caughtUp()) this.#become(false)
    else this.#timer = setTimeout(() => this.#poll(), POLL_MS).unref()
  }

  #become(away: boolean): void {
    this.#away = away
    for (const listener of [...this.#listeners]) listener(away)
  }
}
