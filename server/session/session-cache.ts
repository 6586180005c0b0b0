// SessionCache: the replicas in the memory of this node, one per session. A replica stays while it is in use, and for a
// short time after that, so that a conversation is not loaded again for each message.
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
  /** Milliseconds that an unused session stays in memory. */
  readonly lingerMs: number
  /** Maximum number of unused sessions. The session that has been unused longest is dropped first. */
  readonly maxIdle: number
  readonly logger?: Logger
}

export const SESSION_CACHE_DEFAULTS: SessionCacheOptions = { lingerMs: 30_000, maxIdle: 5_000 }

export class SessionCache {
  readonly #stores: SessionStores
  readonly #options: SessionCacheOptions
  readonly #slots = new Map<string, Slot>()
  /** Unused slots, longest unused first. */
  readonly #idle = new Set<string>()
  readonly #yieldRequests: Subscription | undefined

  constructor(stores: SessionStores, options: SessionCacheOptions = SESSION_CACHE_DEFAULTS) {
    this.#stores = stores
    this.#options = options
    this.#yieldRequests = stores.appendYield?.onRequest((id, run) => this.#yieldAppends(id, run))
  }

  /** The number of sessions in memory. */
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
    const retained = slot
    retained.users += 1
    this.#idle.delete(id)
    clearTimeout(retained.timer)
    let session: SessionReplica
    try {
      session = await retained.opening
    } catch (error) {
      if (this.#slots.get(id) === retained) {
        this.#slots.delete(id)
        const { logger } = this.#options
        // Logged once, although several callers may share the failed attempt.
        if (error instanceof CursorLost && logger !== undefined) {
          logger.error({ err: error, session: id }, 'cannot open session: its log and transcript do not match')
        }
      }
      throw error
    }
    if (session.lost !== undefined) {
      if (this.#slots.get(id) === retained) this.#slots.delete(id)
      session.close()
      return this.retain(id)
    }
    let released = false
    return {
      session,
      release: () => {
        if (released) return
        released = true
        retained.users -= 1
        if (retained.users === 0) this.#park(id, retained, session)
      },
    }
  }

  /** Retains the session while `use` runs. @throws ReplyError session_deleted, StorageError, CursorLost */
  async with<T>(id: string, use: (session: SessionReplica) => Promise<T>): Promise<T> {
    const lease = await this.retain(id)
    try {
      lease.session.assertNotDeleted()
      return await use(lease.session)
    } finally {
      lease.release()
    }
  }

  close(): void {
    this.#yieldRequests?.close()
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

  /** Lets another node end the run. A session that is unused here has no driver here. */
  #yieldAppends(id: string, run: string): void {
    const slot = this.#slots.get(id)
    if (slot === undefined || slot.users === 0) return
    slot.opening.then(
      (session) => session.yieldAppends(run),
      () => undefined,
    )
  }

  #park(id: string, slot: Slot, session: SessionReplica): void {
    if (this.#slots.get(id) !== slot) {
      session.close()
      return
    }
    // A deleted session is not used again, so its content must not stay in memory.
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
