// HttpConnections: the connections that clients of plain HTTP name, with the tools that they declare. A connection is
// present while a stream or poll names it and for `ttlMs` afterwards; then it leaves, and its claimed calls are
// offered again.
import { ReplyError, type Tool } from '@parley/protocol'
import type { Caller } from '../../session/commands/caller.ts'
import type { SessionService } from '../../session/session-service.ts'

interface NamedConnection {
  readonly user: string
  /** Number of open streams and polls, and of declarations in progress. */
  open: number
  /** A declaration has succeeded. */
  isAttached: boolean
  timer: NodeJS.Timeout | undefined
}

/** Most connections that a node keeps. */
const CONNECTIONS_MAX = 50_000

export class HttpConnections {
  readonly #service: SessionService
  readonly #ttlMs: number
  readonly #connections = new Map<string, NamedConnection>()

  /** @param ttlMs milliseconds for which a connection stays after its last stream or poll */
  constructor(service: SessionService, ttlMs: number) {
    this.#service = service
    this.#ttlMs = ttlMs
  }

  get ttlMs(): number {
    return this.#ttlMs
  }

  get size(): number {
    return this.#connections.size
  }

  /** Declares the tools of a connection. @throws ReplyError forbidden, unavailable, and the errors of invalid tools */
  async arrive(session: string, caller: Caller, tools: readonly Tool[]): Promise<void> {
    const { connection, user } = caller
    const key = keyOf(session, connection)
    const known = this.#connections.get(key)
    this.#checkUser(known, user)
    if (known === undefined && this.#connections.size >= CONNECTIONS_MAX) {
      throw new ReplyError('unavailable', 'This node has reached its limit of named connections.', {
        retryAfterMs: 10_000,
      })
    }
    // Kept before the first await, so that no other user arrives under this name meanwhile.
    const named = known ?? { user, open: 0, isAttached: false, timer: undefined }
    this.#connections.set(key, named)
    named.open += 1
    clearTimeout(named.timer)
    try {
      await this.#service.attach(session, caller, tools)
      named.isAttached = true
    } finally {
      named.open -= 1
      const now = this.#connections.get(key)
      if (now !== named) {
        // Its client has removed the connection meanwhile.
        if (now?.user !== user) this.#service.detach(session, caller)
      } else if (named.isAttached || named.open > 0) this.#startTimer(session, connection, named)
      else this.#connections.delete(key)
    }
  }

  /** Removes the connection immediately. @throws ReplyError forbidden */
  leave(session: string, { connection, user }: Caller): void {
    const named = this.#connections.get(keyOf(session, connection))
    this.#checkUser(named, user)
    if (named !== undefined) this.#forget(session, connection, named)
  }

  /**
   * Counts a stream or poll that names the connection.
   * @returns a function to call at its end
   * @throws ReplyError forbidden
   */
  hold(session: string, connection: string, user: string): () => void {
    const named = this.#connections.get(keyOf(session, connection))
    this.#checkUser(named, user)
    if (named === undefined) return () => undefined
    named.open += 1
    clearTimeout(named.timer)
    let held = true
    return () => {
      if (!held) return
      held = false
      named.open -= 1
      this.#startTimer(session, connection, named)
    }
  }

  close(): void {
    for (const { timer } of this.#connections.values()) clearTimeout(timer)
    this.#connections.clear()
  }

  /** The timer runs while no stream and no poll is open. */
  #startTimer(session: string, connection: string, named: NamedConnection): void {
    clearTimeout(named.timer)
    if (named.open > 0 || this.#connections.get(keyOf(session, connection)) !== named) return
    named.timer = setTimeout(() => this.#forget(session, connection, named), this.#ttlMs)
    named.timer.unref()
  }

  #forget(session: string, connection: string, named: NamedConnection): void {
    clearTimeout(named.timer)
    const key = keyOf(session, connection)
    if (this.#connections.get(key) !== named) return
    this.#connections.delete(key)
    this.#service.detach(session, { connection, user: named.user, roams: true })
  }

  #checkUser(named: NamedConnection | undefined, user: string): void {
    if (named !== undefined && named.user !== user)
      throw new ReplyError('forbidden', 'The connection belongs to another user.')
  }
}

function keyOf(session: string, connection: string): string {
  return `${session} ${connection}`
}
