// Hub: the feeds of all sessions that are read on this node: one feed per session, shared by all transports. A feed stays
// open for a moment after its last reader has left, so that a page reload does not reopen it.
import { parseCursor } from '@parley/protocol'
import type { SessionLog } from '../../store/ports/session-log.ts'
import { type Broadcast, Feed, type ReaderReport } from './feed.ts'

export interface FeedLease {
  readonly feed: Feed
  /** Idempotent. */
  release(): void
}

export interface HubOptions {
  /** Milliseconds that a feed without readers stays open; default 5,000. */
  readonly lingerMs?: number
  readonly broadcast?: Broadcast
}

interface CachedFeed {
  readonly session: string
  /** Set until the feed is open. */
  opening: Promise<Feed> | undefined
  feed: Feed | undefined
  leases: number
  timer: NodeJS.Timeout | undefined
}

class Lease implements FeedLease {
  readonly feed: Feed
  readonly #cached: CachedFeed
  #unused: ((cached: CachedFeed, feed: Feed) => void) | undefined

  /** @param unused called when the last lease of the feed was released */
  constructor(feed: Feed, cached: CachedFeed, unused: (cached: CachedFeed, feed: Feed) => void) {
    this.feed = feed
    this.#cached = cached
    this.#unused = unused
  }

  release(): void {
    const unused = this.#unused
    if (unused === undefined) return
    this.#unused = undefined
    this.#cached.leases -= 1
    if (this.#cached.leases === 0) unused(this.#cached, this.feed)
  }
}

export class Hub {
  readonly #log: SessionLog
  readonly #options: HubOptions
  readonly #feeds = new Map<string, CachedFeed>()
  #closed = false

  constructor(log: SessionLog, options: HubOptions = {}) {
    this.#log = log
    this.#options = options
  }

  /** Number of followed sessions. */
  get size(): number {
    return this.#feeds.size
  }

  /** Whether the session is read, or was read a moment ago. */
  follows(session: string): boolean {
    return this.#feeds.has(session)
  }

  /** @throws StorageError, CursorLost */
  async retain(session: string): Promise<FeedLease> {
    let cached = this.#feeds.get(session)
    if (cached === undefined) {
      cached = { session, opening: undefined, feed: undefined, leases: 0, timer: undefined }
      cached.opening = this.#open(cached)
      this.#feeds.set(session, cached)
    }
    const held = cached
    held.leases += 1
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
    return new Lease(feed, held, this.#closeLater)
  }

  /** Reports of the session's readers on this node. Never throws. */
  async readers(session: string): Promise<readonly ReaderReport[]> {
    const cached = this.#feeds.get(session)
    const feed = cached === undefined ? undefined : await opened(cached).catch(() => undefined)
    return feed?.reports() ?? []
  }

  close(): void {
    this.#closed = true
    for (const cached of this.#feeds.values()) {
      clearTimeout(cached.timer)
      this.#forget(cached)
      opened(cached).then(
        (feed) => feed.close(),
        () => undefined,
      )
    }
  }

  async #open(cached: CachedFeed): Promise<Feed> {
    const { session } = cached
    const head = await this.#log.head(session)
    const feed = new Feed(session, this.#log.epoch, parseCursor(head)?.seq ?? 0, this.#options.broadcast)
    feed.setSubscription(await this.#log.follow(session, head, feed))
    cached.feed = feed
    cached.opening = undefined
    return feed
  }

  readonly #closeLater = (cached: CachedFeed, feed: Feed): void => {
    if (this.#closed || feed.isDeleted || this.#feeds.get(cached.session) !== cached) {
      this.#forget(cached)
      feed.close()
      return
    }
    cached.timer = setTimeout(() => {
      this.#forget(cached)
      feed.close()
    }, this.#options.lingerMs ?? 5_000)
    cached.timer.unref()
  }

  #forget(cached: CachedFeed): void {
    if (this.#feeds.get(cached.session) === cached) this.#feeds.delete(cached.session)
  }
}

/** @throws StorageError, CursorLost */
async function opened({ opening, feed }: CachedFeed): Promise<Feed> {
  if (feed !== undefined) return feed
  if (opening === undefined) throw new Error('The feed is neither open nor being opened.')
  return opening
}
