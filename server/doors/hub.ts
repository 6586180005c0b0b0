// Hub: the feeds of the sessions that somebody on this node reads: one per session, shared by all doors. A
// feed lingers a little after its last reader left, so that a reload does not open it anew.
import { parseCursor } from '@parley/protocol'
import type { SessionLog } from '../log/session-log.ts'
import { type Broadcast, Feed } from './feed.ts'
import type { ReaderReport } from './reader.ts'

export interface FeedLease {
  readonly feed: Feed
  /** Idempotent. */
  release(): void
}

export interface HubOptions {
  /** Milliseconds that an unread feed stays; default 5,000. */
  readonly lingerMs?: number
  readonly broadcast?: Broadcast
}

interface Slot {
  readonly opening: Promise<Feed>
  users: number
  timer: NodeJS.Timeout | undefined
}

export class Hub {
  readonly #log: SessionLog
  readonly #options: HubOptions
  readonly #slots = new Map<string, Slot>()
  #closed = false

  constructor(log: SessionLog, options: HubOptions = {}) {
    this.#log = log
    this.#options = options
  }

  /** How many sessions are followed. */
  get size(): number {
    return this.#slots.size
  }

  /** Whether somebody reads it, or did a moment ago. */
  follows(session: string): boolean {
    return this.#slots.has(session)
  }

  /** @throws StorageError, CursorLost */
  async retain(session: string): Promise<FeedLease> {
    let slot = this.#slots.get(session)
    if (slot === undefined) {
      slot = { opening: this.#open(session), users: 0, timer: undefined }
      this.#slots.set(session, slot)
    }
    const held = slot
    held.users += 1
    clearTimeout(held.timer)
    let feed: Feed
    try {
      feed = await held.opening
    } catch (error) {
      this.#forget(session, held)
      throw error
    }
    if (feed.isLost) {
      this.#forget(session, held)
      return this.retain(session)
    }
    let released = false
    return {
      feed,
      release: () => {
        if (released) return
        released = true
        held.users -= 1
        if (held.users === 0) this.#park(session, held, feed)
      },
    }
  }

  /** Who reads the session on this node. Throws nothing. */
  async readers(session: string): Promise<readonly ReaderReport[]> {
    const feed = await this.#slots.get(session)?.opening.catch(() => undefined)
    return feed?.reports() ?? []
  }

  close(): void {
    this.#closed = true
    for (const [session, slot] of this.#slots) {
      clearTimeout(slot.timer)
      this.#forget(session, slot)
      slot.opening.then(
        (feed) => feed.close(),
        () => undefined,
      )
    }
  }

  async #open(session: string): Promise<Feed> {
    const head = await this.#log.head(session)
    const feed = new Feed(session, this.#log.epoch, parseCursor(head)?.seq ?? 0, this.#options.broadcast)
    feed.followWith(await this.#log.follow(session, head, feed))
    return feed
  }

  #park(session: string, slot: Slot, feed: Feed): void {
    if (this.#closed || feed.isDeleted || this.#slots.get(session) !== slot) {
      this.#forget(session, slot)
      feed.close()
      return
    }
    slot.timer = setTimeout(() => {
      this.#forget(session, slot)
      feed.close()
    }, this.#options.lingerMs ?? 5_000)
    slot.timer.unref()
  }

  #forget(session: string, slot: Slot): void {
    if (this.#slots.get(session) === slot) this.#slots.delete(session)
  }
}
