// Outage: tells when the log has been away for longer than a moment, and when it is back for good: it can be reached,
// and everything that is followed was compared with the streams, so that nothing is missing.

import type { Subscription } from '../../ports/session-log.ts'
import type { ConnectionState } from '../connection.ts'

export interface OutageOptions {
  readonly reach: {
    readonly state: ConnectionState
    onState(listener: (state: ConnectionState) => void): Subscription
  }
  /** Whether everything that is followed is live. */
  caughtUp(): boolean
  /** Milliseconds that a loss may take without being told; default 1,000. */
  readonly momentMs?: number
}

const MOMENT_MS = 1_000
const LOOK_MS = 50

export class Outage {
  readonly #options: OutageOptions
  readonly #listeners = new Set<(away: boolean) => void>()
  readonly #states: Subscription
  #timer: NodeJS.Timeout | undefined
  #away = false

  constructor(options: OutageOptions) {
    this.#options = options
    this.#states = options.reach.onState((state) => this.#changed(state))
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
      this.#timer = setTimeout(() => this.#become(true), this.#options.momentMs ?? MOMENT_MS).unref()
    } else if (state === 'live' && this.#away) this.#look()
  }

  #look(): void {
    if (this.#options.caughtUp()) this.#become(false)
    else this.#timer = setTimeout(() => this.#look(), LOOK_MS).unref()
  }

  #become(away: boolean): void {
    this.#away = away
    for (const listener of [...this.#listeners]) listener(away)
  }
}
