// CatchUpPoller: polls for entries that a feed is known to lack, because the server has answered a command with a
// cursor that the stream or the long poll has not reached. A stream that stays behind its polls counts as stalled.
import type { Clock } from '../../client-options.ts'
import { HttpFailure } from './http-failure.ts'

export interface CatchUpPollerPorts {
  readonly clock: Clock
  /** How long a stream may stay behind its polls, in milliseconds. */
  readonly stallMs: number
  /** Whether the feed still lacks something. */
  isNeeded(): boolean
  /** Polls, and delivers the entries. @returns whether there were any */
  fetch(): Promise<boolean>
  /** The missing entries do not arrive, neither by the stream nor by polls. */
  stalled(reason: string): void
}

/** How long the feed may take before the first poll, in milliseconds. */
const FIRST_DELAY_MS = 1_000
const MAX_ATTEMPTS = 8

export class CatchUpPoller {
  readonly #ports: CatchUpPollerPorts
  #cancelTimer: (() => void) | undefined
  #attempts = 0
  /** Runs since a poll delivered entries that the stream had not. */
  #cancelStallTimer: (() => void) | undefined
  #fetching = false
  #closed = false

  constructor(ports: CatchUpPollerPorts) {
    this.#ports = ports
  }

  /** The feed lacks entries that should be on their way. */
  start(): void {
    if (this.#cancelTimer !== undefined || this.#fetching || this.#closed) return
    const wait = FIRST_DELAY_MS * (1 + this.#attempts / 2)
    this.#cancelTimer = this.#ports.clock.after(wait, () => {
      this.#cancelTimer = undefined
      this.#poll().catch((error: unknown) => this.#ports.stalled(String(error)))
    })
  }

  /** The stream has delivered bytes: it works. */
  streamReceived(): void {
    this.#endStall()
    if (!this.#ports.isNeeded()) this.#stop()
  }

  /** The feed has advanced, by the stream or by a poll. */
  delivered(): void {
    this.#attempts = 0
    if (!this.#ports.isNeeded()) this.#stop()
  }

  close(): void {
    this.#closed = true
    this.#stop()
    this.#endStall()
  }

  #endStall(): void {
    this.#cancelStallTimer?.()
    this.#cancelStallTimer = undefined
  }

  #stop(): void {
    this.#attempts = 0
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  async #poll(): Promise<void> {
    const { clock, stallMs } = this.#ports
    if (this.#closed || !this.#ports.isNeeded()) return this.#stop()
    this.#attempts += 1
    if (this.#attempts > MAX_ATTEMPTS) return this.#ports.stalled('Polls did not return the result of a command.')
    this.#fetching = true
    let wasBehind = false
    try {
      wasBehind = await this.#ports.fetch()
    } catch (error) {
      // If the problem persists, the feed itself reports it.
      if (!(error instanceof HttpFailure)) throw error
    } finally {
      this.#fetching = false
    }
    if (this.#closed) return
    if (wasBehind)
      this.#cancelStallTimer ??= clock.after(stallMs, () => this.#ports.stalled('The stream delivers nothing.'))
    if (this.#ports.isNeeded()) this.start()
    else this.#stop()
  }
}
