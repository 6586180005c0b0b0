// Handshakes: limits the WebSockets whose user is not known yet. uWS buffers an unfinished message without a word, so each
// of them may hold one in memory. Beyond the limit the oldest are dropped: a client that says hello at once gets in, however
// many strangers do not.
import type { Logger } from 'pino'

export interface Handshake {
  /** Closes the socket at once, which also frees its unfinished message. */
  drop(): void
}

export interface HandshakeLimits {
  /** Handshakes above which the oldest are dropped. */
  readonly most: number
  /** Milliseconds for which a handshake is never dropped. */
  readonly graceMs: number
}

const LIMITS: HandshakeLimits = { most: 128, graceMs: 2_000 }
/** Milliseconds between two log lines. */
const LOG_MS = 60_000

export class Handshakes {
  readonly #logger: Logger
  readonly #limits: HandshakeLimits
  /** With the time of their opening, the oldest first. */
  readonly #pending = new Map<Handshake, number>()
  #timer: NodeJS.Timeout | undefined
  #loggedAt = Number.NEGATIVE_INFINITY

  constructor(logger: Logger, limits = LIMITS) {
    this.#logger = logger
    this.#limits = limits
  }

  add(handshake: Handshake): void {
    this.#pending.set(handshake, performance.now())
    if (this.#timer === undefined) this.#trim()
  }

  delete(handshake: Handshake): void {
    this.#pending.delete(handshake)
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #trim(): void {
    const { most, graceMs } = this.#limits
    const now = performance.now()
    this.#timer = undefined
    for (const [oldest, since] of this.#pending) {
      if (this.#pending.size <= most) return
      if (now - since < graceMs) {
        this.#timer = setTimeout(() => this.#trim(), graceMs - (now - since))
        return
      }
      this.#pending.delete(oldest)
      oldest.drop()
      this.#log(now)
    }
  }

  #log(now: number): void {
    if (now - this.#loggedAt < LOG_MS) return
    this.#loggedAt = now
    this.#logger.warn({ pending: this.#pending.size }, 'too many WebSockets without hello')
  }
}
