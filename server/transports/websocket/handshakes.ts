// Handshakes: limits the WebSockets whose user is not known yet. uWS buffers an unfinished message without a word, so each
// of them may hold one in memory. Beyond the limit the oldest are dropped: a client that says hello at once gets in, however
// many strangers do not. If the memory of the process grows while many are pending, all of them are dropped.
import { existsSync, readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import { ThrottledLog } from '../../metric/throttled-log.ts'

export interface Handshake {
  /** Closes the socket at once, which also frees its unfinished message. */
  drop(): void
}

export interface HandshakeLimits {
  /** Handshakes above which the oldest are dropped. */
  readonly most: number
  /** Milliseconds for which a handshake is not dropped for its age. */
  readonly graceMs: number
  /** Bytes by which the process may grow while more handshakes are pending than fit into as many. */
  readonly bytes: number
  /** Bytes of the longest message that uWS buffers. */
  readonly messageBytes: number
}

export const HANDSHAKE_LIMITS = { most: 128, graceMs: 2_000 } as const
/** Milliseconds between two looks at the memory of the process, while many are pending. */
const WATCH_MS = 50

export class Handshakes {
  readonly #logger: Logger
  readonly #limits: HandshakeLimits
  /** With the time of their opening, the oldest first. */
  readonly #pending = new Map<Handshake, number>()
  /** The least native memory of the process while many were pending. */
  #least = Number.POSITIVE_INFINITY
  #watch: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #log = new ThrottledLog<'dropped'>()

  constructor(logger: Logger, limits: HandshakeLimits) {
    this.#logger = logger
    this.#limits = limits
  }

  add(handshake: Handshake): void {
    this.#pending.set(handshake, performance.now())
    if (this.#timer === undefined) this.#trim()
    if (this.#watch === undefined && this.#areMany) this.#startWatch()
  }

  delete(handshake: Handshake): void {
    this.#pending.delete(handshake)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#stopWatch()
  }

  /** Whether their unfinished messages may exceed the limit of bytes. */
  get #areMany(): boolean {
    return this.#pending.size * this.#limits.messageBytes > this.#limits.bytes
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
      this.#drop(oldest)
    }
  }

  #startWatch(): void {
    this.#least = nativeMemory()
    this.#watch = setInterval(() => this.#lookAtMemory(), WATCH_MS)
  }

  #stopWatch(): void {
    clearInterval(this.#watch)
    this.#watch = undefined
  }

  #lookAtMemory(): void {
    if (!this.#areMany) {
      this.#stopWatch()
      return
    }
    const memory = nativeMemory()
    this.#least = Math.min(this.#least, memory)
    if (memory - this.#least <= this.#limits.bytes) return
    // Nothing tells whose bytes they are: a client that is dropped without a fault connects again.
    for (const handshake of [...this.#pending.keys()]) this.#drop(handshake)
    this.#stopWatch()
  }

  #drop(handshake: Handshake): void {
    this.#pending.delete(handshake)
    handshake.drop()
    const pending = this.#pending.size
    this.#log.write('dropped', (omitted) => {
      this.#logger.warn({ pending, omitted }, 'too many WebSockets of unknown users')
    })
  }
}

/** Bytes of the process besides JavaScript's and mapped files. uWS's buffers are among them, and it does not tell their size. */
function nativeMemory(): number {
  const { rss, heapTotal, external } = process.memoryUsage()
  return rss * (1 - mappedPart()) - heapTotal - external
}

const STATM = '/proc/self/statm'

/** The part of the resident memory that is mapped from files, such as LMDB's tables. 0 on systems that do not tell. */
function mappedPart(): number {
  if (!existsSync(STATM)) return 0
  const [, resident = 1, shared = 0] = readFileSync(STATM, 'utf8').split(' ').map(Number)
  return shared / resident
}
