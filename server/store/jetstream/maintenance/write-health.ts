// WriteHealth: whether the log can be written. That requires NATS to be connected, and JetStream to have a leader and a
// majority. It combines the connection's state and the problems that the stream watch reports.
//
//   live ── disconnected, or a problem ──> away ── connected, and no problem ──> live          any ── closed
import type { Logger } from 'pino'
import type { Subscription } from '../../ports/session-log.ts'
import type { ConnectionState } from '../connection.ts'

export interface WriteHealthOptions {
  readonly connection: {
    readonly state: ConnectionState
    onState(listener: (state: ConnectionState) => void): Subscription
  }
  readonly logger: Logger
}

export class WriteHealth {
  readonly #options: WriteHealthOptions
  readonly #listeners = new Set<(state: ConnectionState) => void>()
  readonly #connection: Subscription
  #state: ConnectionState
  #since = performance.now()
  #problem: string | undefined
  #problemSince = 0

  constructor(options: WriteHealthOptions) {
    this.#options = options
    this.#state = options.connection.state
    this.#connection = options.connection.onState(() => this.#update())
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Milliseconds since the log became unavailable; 0 if it is available. */
  get awayMs(): number {
    return this.#state === 'live' ? 0 : performance.now() - this.#since
  }

  /** @param listener called after each change, in the order of the changes; must not throw */
  onState(listener: (state: ConnectionState) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  /** @param problem what is wrong with JetStream; undefined if it works */
  report(problem: string | undefined): void {
    const before = this.#problem
    this.#problem = problem
    if (before === undefined && problem !== undefined) {
      this.#problemSince = performance.now()
      this.#options.logger.warn({ problem }, 'JetStream is unavailable')
    } else if (before !== undefined && problem === undefined) {
      const awayMs = Math.round(performance.now() - this.#problemSince)
      this.#options.logger.info({ awayMs }, 'JetStream is available again')
    }
    this.#update()
  }

  close(): void {
    this.#connection.close()
    this.#listeners.clear()
  }

  #update(): void {
    const { state } = this.#options.connection
    const now = state === 'live' && this.#problem !== undefined ? 'away' : state
    if (this.#state === now) return
    this.#state = now
    this.#since = performance.now()
    for (const listener of [...this.#listeners]) listener(now)
  }
}
