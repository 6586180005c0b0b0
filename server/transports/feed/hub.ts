// Hub: the feeds of the sessions that somebody on this node reads: one per session, shared by all doors. A
// feed lingers a little after its last reader left, so that a reload does not open it anew.
import { parseCursor } from '@parley/protocol'
import type { SessionLog } from '../../store/ports/session-log.ts'
import type { ReaderReport } from './feed.ts'
import { type Broadcast, Feed } from './feed.ts'

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
  readonly session: string
  /** There until it is open; then there is the feed. */
  opening: Promise<Feed> | undefined
  feed: Feed | undefined
  users: number
  timer: NodeJS.Timeout | undefined
}

class Lease implements FeedLease {
  readonly feed: Feed
  readonly #slot: Slot
  #unused: ((slot: Slot, feed: Feed) => void) | undefined

  /** @param unused called when the last one was released */
  constructor(feed: Feed, slot: Slot, unused: (slot: Slot, feed: Feed) => void) {
    this.feed = feed
    this.#slot = slot
    this.#unused = unused
  }

  release(): void {
    const unused = this.#unused
    if (unused === undefined) return
    this.#unused = undefined
    this.#slot.users -= 1
    if (this.#slot.users === 0) unused(this.#slot, this.feed)
  }
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
      slot = { session, opening: undefined, feed: undefined, users: 0, timer: undefined }
      slot.opening = this.#open(slot)
      this.#slots.set(session, slot)
    }
    const held = slot
    held.users += 1
    clearTimeout(held.timer)
    held.timer = undefined
    let feed: Feed
    try {
      feed = await opened(held)
    } catch (error) {
      this.#forget(held)
      throw error
    }
    if (feed.isLost) {
      this.#forget(held)
      return this.retain(session)
    }
    return new Lease(feed, held, this.#park)
  }

  /** Who reads the session on this node. Throws nothing. */
  async readers(session: string): Promise<readonly ReaderReport[]> {
    const slot = this.#slots.get(session)
    const feed = slot === undefined ? undefined : await opened(slot).catch(() => undefined)
    return feed?.reports() ?? []
  }

  close(): void {
    this.#closed = true
    for (const slot of this.#slots.values()) {
      clearTimeout(slot.timer)
      this.#forget(slot)
      opened(slot).then(
        (feed) => feed.close(),
        () => undefined,
      )
    }
  }

  async #open(slot: Slot): Promise<Feed> {
    const { session } = slot
    const head = await this.#log.head(session)
    const feed = new Feed(session, this.#log.epoch, parseCursor(head)?.seq ?? 0, this.#options.broadcast)
    feed.followWith(await this.#log.follow(session, head, feed))
    slot.feed = feed
    slot.opening = undefined
    return feed
  }

  readonly #park = (slot: Slot, feed: Feed): void => {
    if (this.#closed || feed.isDeleted || this.#slots.get(slot.session) !== slot) {
      this.#forget(slot)
      feed.close()
      return
    }
    slot.timer = setTimeout(() => {
      this.#forget(slot)
      feed.close()
    }, this.#options.lingerMs ?? 5_000)
    slot.timer.unref()
  }

  #forget(slot: Slot): void {
    if (this.#slots.get(slot.session) === slot) this.#slots.delete(slot.session)
  }
}

/** @throws StorageError, CursorLost */
async function opened({ opening, feed }: Slot): Promise<Feed> {
  if (feed !== undefined) return feed
  if (opening === undefined) throw new Error('a feed is opened when its slot is made')
  return opening
}
