// SessionCache: the sessions that this node holds in memory. One SessionReplica object per id; it stays
// while somebody retains it, and lingers a little after, so that a conversation is not folded anew
// for each of its messages.
import type { Logger } from 'pino'
import { CursorLost } from '../store/ports/errors.ts'
import type { Subscription } from '../store/ports/session-log.ts'
import { SessionReplica, type SessionStores } from './session-replica.ts'

export interface SessionLease {
  readonly session: SessionReplica
  /** Idempotent. */
  release(): void
}

interface Slot {
  readonly opening: Promise<SessionReplica>
  users: number
  timer: NodeJS.Timeout | undefined
}

export interface SessionCacheOptions {
  /** Milliseconds that an unused session stays. */
  readonly lingerMs: number
  /** Unused sessions that stay at most; the oldest go first. */
  readonly maxIdle: number
  readonly logger?: Logger
}

export const SESSION_CACHE_DEFAULTS: SessionCacheOptions = { lingerMs: 30_000, maxIdle: 5_000 }

export class SessionCache {
  readonly #stores: SessionStores
  readonly #options: SessionCacheOptions
  readonly #slots = new Map<string, Slot>()
  /** Unused slots in the order in which they became so. */
  readonly #idle = new Set<string>()
  readonly #asked: Subscription | undefined

  constructor(stores: SessionStores, options: SessionCacheOptions = SESSION_CACHE_DEFAULTS) {
    this.#stores = stores
    this.#options = options
    this.#asked = stores.appendYield?.onAsked((id, run) => this.#appendYield(id, run))
  }

  /** How many sessions are in memory. */
  get size(): number {
    return this.#slots.size
  }

  /** @throws StorageError, CursorLost */
  async retain(id: string): Promise<SessionLease> {
    let slot = this.#slots.get(id)
    if (slot === undefined) {
      slot = { opening: SessionReplica.open(this.#stores, id), users: 0, timer: undefined }
      this.#slots.set(id, slot)
    }
    const held = slot
    held.users += 1
    this.#idle.delete(id)
    clearTimeout(held.timer)
    let session: SessionReplica
    try {
      session = await held.opening
    } catch (error) {
      if (this.#slots.get(id) === held) {
        this.#slots.delete(id)
        if (error instanceof CursorLost) this.#tell(id, error)
      }
      throw error
    }
    if (session.lost !== undefined) {
      if (this.#slots.get(id) === held) this.#slots.delete(id)
      session.close()
      return this.retain(id)
    }
    let released = false
    return {
      session,
      release: () => {
        if (released) return
        released = true
        held.users -= 1
        if (held.users === 0) this.#park(id, held, session)
      },
    }
  }

  /** Retains the session while `use` runs. @throws ReplyError session_deleted, StorageError, CursorLost */
  async with<T>(id: string, use: (session: SessionReplica) => Promise<T>): Promise<T> {
    const lease = await this.retain(id)
    try {
      lease.session.mustLive()
      return await use(lease.session)
    } finally {
      lease.release()
    }
  }

  close(): void {
    this.#asked?.close()
    for (const [id, slot] of this.#slots) {
      clearTimeout(slot.timer)
      this.#slots.delete(id)
      slot.opening.then(
        (session) => session.close(),
        () => undefined,
      )
    }
    this.#idle.clear()
  }

  /** Once for all who wait for it. */
  #tell(id: string, error: CursorLost): void {
    const { logger } = this.#options
    if (logger === undefined) return
    logger.error({ err: error, session: id }, 'a session cannot be opened: its log and its transcript do not fit')
  }

  /** For who ends the run on another node. A session that nobody here has in use has no owner here. */
  #appendYield(id: string, run: string): void {
    const slot = this.#slots.get(id)
    if (slot === undefined || slot.users === 0) return
    slot.opening.then(
      (session) => session.appendYield(run),
      () => undefined,
    )
  }

  #park(id: string, slot: Slot, session: SessionReplica): void {
    if (this.#slots.get(id) !== slot) {
      session.close()
      return
    }
    // Nobody comes back to it, and what it was read from is not to stay in memory either.
    if (session.state.deleted !== undefined) {
      this.#slots.delete(id)
      session.close()
      return
    }
    this.#idle.add(id)
    slot.timer = setTimeout(() => this.#drop(id, slot, session), this.#options.lingerMs)
    slot.timer.unref()
    if (this.#idle.size <= this.#options.maxIdle) return
    const [oldest] = this.#idle
    const other = oldest === undefined ? undefined : this.#slots.get(oldest)
    if (oldest === undefined || other === undefined) return
    clearTimeout(other.timer)
    this.#idle.delete(oldest)
    this.#slots.delete(oldest)
    other.opening.then(
      (unused) => unused.close(),
      () => undefined,
    )
  }

  #drop(id: string, slot: Slot, session: SessionReplica): void {
    if (slot.users > 0 || this.#slots.get(id) !== slot) return
    this.#slots.delete(id)
    this.#idle.delete(id)
    session.close()
  }
}
