// WriteHealth: whether the log can be reached and written, which takes more than a connection that stands: JetStream behind it
// may have no leader, or no majority. The streams' watch and the publisher say what they see; here is what it comes to.
//
//   live ── the connection is gone, or something is the matter ──> away ── neither is ──> live          any ── closed
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
    this.#connection = options.connection.onState(() => this.#look())
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Milliseconds for which nothing could be stored; 0 when all is well. */
  get awayMs(): number {
    return this.#state === 'live' ? 0 : performance.now() - this.#since
  }

  /** @param listener called after each change, in the order of the changes; must not throw */
  onState(listener: (state: ConnectionState) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  /** What is the matter with JetStream, in words; undefined: nothing. */
  report(problem: string | undefined): void {
    const before = this.#problem
    this.#problem = problem
    if (before === undefined && problem !== undefined) {
      this.#problemSince = performance.now()
      this.#options.logger.warn({ problem }, 'JetStream is away')
    } else if (before !== undefined && problem === undefined) {
      const awayMs = Math.round(performance.now() - this.#problemSince)
      this.#options.logger.info({ awayMs }, 'JetStream is back')
    }
    this.#look()
  }

  close(): void {
    this.#connection.close()
    this.#listeners.clear()
  }

  #look(): void {
    const { state } = this.#options.connection
    const now = state === 'live' && this.#problem !== undefined ? 'away' : state
    if (this.#state === now) return
    this.#state = now
    this.#since = performance.now()
    for (const listener of [...this.#listeners]) listener(now)
  }
}
