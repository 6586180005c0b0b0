// UnfinishedMessages: limits the memory of messages that clients with a known user have begun to send. uWS buffers those without a word,
// so nothing tells whose they are. If the memory of the process grows, it drops the WebSockets that do not answer a ping: a client cannot,
// inside a message. Between the fragments of a message it can, so of those that answer it drops the ones of the user who has the most.
import type { Logger } from 'pino'
import { nativeMemory } from './native-memory.ts'

export interface OpenSocket {
  /** Its user, or its address if all users are anonymous. */
  readonly owner: string
  /** When the latest message and the latest pong arrived (ms of a monotonic clock). */
  readonly heardAt: number
  readonly pongAt: number
  probe(): void
  /** Closes the socket at once, which also frees its unfinished message. */
  drop(): void
}

export interface UnfinishedMessagesOptions {
  readonly logger: Logger
  /** Bytes by which the process may grow. */
  readonly bytes: number
  /** Bytes that wait for slow sockets, which are native memory as well. */
  readonly unsentBytes: () => number
}

const WATCH_MS = 100
/** Looks until a pong must have arrived. Not a time: after a stall, timers run before the sockets are read. */
const PONG_LOOKS = 20
/** Nobody is suspected for fewer sockets. */
const FEW = 16

export class UnfinishedMessages {
  readonly #options: UnfinishedMessagesOptions
  /** With the most bytes that uWS buffers for each. */
  readonly #sockets = new Map<OpenSocket, number>()
  /** The sum of these bytes. */
  #most = 0
  /** The least memory since `#since`. */
  #least = Number.POSITIVE_INFINITY
  #since = 0
  #probedAt: number | undefined
  /** Looks since then. */
  #looks = 0
  #watch: NodeJS.Timeout | undefined

  constructor(options: UnfinishedMessagesOptions) {
    this.#options = options
  }

  add(socket: OpenSocket, messageBytes: number): void {
    this.#sockets.set(socket, messageBytes)
    this.#most += messageBytes
    if (this.#most <= this.#options.bytes || this.#watch !== undefined) return
    this.#watch = setInterval(() => this.#look(), WATCH_MS).unref()
    this.#look()
  }

  delete(socket: OpenSocket): void {
    this.#most -= this.#sockets.get(socket) ?? 0
    this.#sockets.delete(socket)
    if (this.#most <= this.#options.bytes) this.close()
  }

  close(): void {
    clearInterval(this.#watch)
    this.#watch = undefined
    this.#restart()
  }

  #restart(): void {
    this.#least = Number.POSITIVE_INFINITY
    this.#probedAt = undefined
  }

  #look(): void {
    const now = performance.now()
    const memory = nativeMemory() - this.#options.unsentBytes()
    if (memory < this.#least) {
      this.#least = memory
      this.#since = now
    }
    if (memory - this.#least <= this.#options.bytes) {
      this.#probedAt = undefined
      return
    }
    const silent = [...this.#sockets.keys()].filter(({ heardAt }) => heardAt < this.#since)
    if (this.#probedAt === undefined) {
      this.#probedAt = now
      this.#looks = 0
      for (const socket of silent) socket.probe()
      return
    }
    this.#looks += 1
    if (this.#looks < PONG_LOOKS) return
    this.#drop(silent, this.#probedAt)
    this.#restart()
  }

  #drop(silent: readonly OpenSocket[], probedAt: number): void {
    const inside = silent.filter(({ pongAt }) => pongAt < probedAt)
    const bytes = inside.reduce((sum, socket) => sum + (this.#sockets.get(socket) ?? 0), 0)
    const dropped = new Set(bytes > this.#options.bytes ? inside : [...inside, ...largest(silent)])
    if (dropped.size === 0) return
    this.#options.logger.warn({ sockets: dropped.size }, 'dropped WebSockets with unfinished messages')
    for (const socket of dropped) socket.drop()
  }
}

/** The sockets of the owner who has the most. */
function largest(sockets: readonly OpenSocket[]): readonly OpenSocket[] {
  const byOwner = new Map<string, OpenSocket[]>()
  for (const socket of sockets) {
    const own = byOwner.get(socket.owner) ?? []
    byOwner.set(socket.owner, own)
    own.push(socket)
  }
  const [most = []] = [...byOwner.values()].sort((a, b) => b.length - a.length)
  return most.length < FEW ? [] : most
}
