// HttpConnections: connections that clients over plain HTTP have named, and the tools that they declared. One is here while
// a stream or a poll names it, and for a while after the last: then it has left, and what it had claimed is offered again.
import { ReplyError, type Tool } from '@parley/protocol'
import type { Caller } from '../../session/commands/caller.ts'
import type { SessionService } from '../../session/session-service.ts'

interface Here {
  readonly user: string
  /** Streams and polls that are open. */
  open: number
  timer: NodeJS.Timeout | undefined
}

/** Connections that a node remembers. */
const CONNECTIONS_MAX = 50_000

export class HttpConnections {
  readonly #service: SessionService
  readonly #ttlMs: number
  readonly #here = new Map<string, Here>()

  /** @param ttlMs for which a connection stays after its last stream or poll */
  constructor(service: SessionService, ttlMs: number) {
    this.#service = service
    this.#ttlMs = ttlMs
  }

  get ttlMs(): number {
    return this.#ttlMs
  }

  get size(): number {
    return this.#here.size
  }

  /** The connection has these tools in the session. @throws ReplyError forbidden, unavailable, and those of the tools */
  async arrive(session: string, caller: Caller, tools: readonly Tool[]): Promise<void> {
    const { connection, user } = caller
    const key = keyOf(session, connection)
    const before = this.#here.get(key)
    this.#mustBeOf(before, user)
    if (before === undefined && this.#here.size >= CONNECTIONS_MAX) {
      throw new ReplyError('unavailable', 'This node has no room for more.', { retryAfterMs: 10_000 })
    }
    await this.#service.arrive(session, caller, tools)
    const here = this.#here.get(key) ?? { user, open: 0, timer: undefined }
    this.#here.set(key, here)
    this.#rest(session, connection, here)
  }

  /** At once. @throws ReplyError forbidden */
  leave(session: string, { connection, user }: Caller): void {
    const here = this.#here.get(keyOf(session, connection))
    this.#mustBeOf(here, user)
    if (here !== undefined) this.#forget(session, connection, here)
  }

  /** A stream or poll that names it began. @returns to be called when it is over @throws ReplyError forbidden */
  hold(session: string, connection: string, user: string): () => void {
    const here = this.#here.get(keyOf(session, connection))
    this.#mustBeOf(here, user)
    if (here === undefined) return () => undefined
    here.open += 1
    clearTimeout(here.timer)
    let held = true
    return () => {
      if (!held) return
      held = false
      here.open -= 1
      this.#rest(session, connection, here)
    }
  }

  close(): void {
    for (const { timer } of this.#here.values()) clearTimeout(timer)
    this.#here.clear()
  }

  /** While nothing is open, its time runs. */
  #rest(session: string, connection: string, here: Here): void {
    clearTimeout(here.timer)
    if (here.open > 0 || this.#here.get(keyOf(session, connection)) !== here) return
    here.timer = setTimeout(() => this.#forget(session, connection, here), this.#ttlMs)
    here.timer.unref()
  }

  #forget(session: string, connection: string, here: Here): void {
    clearTimeout(here.timer)
    const key = keyOf(session, connection)
    if (this.#here.get(key) !== here) return
    this.#here.delete(key)
    this.#service.leave(session, connection)
  }

  #mustBeOf(here: Here | undefined, user: string): void {
    if (here !== undefined && here.user !== user) throw new ReplyError('forbidden', 'The connection is another user’s.')
  }
}

function keyOf(session: string, connection: string): string {
  return `${session} ${connection}`
}
