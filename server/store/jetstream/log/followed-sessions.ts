// FollowedSessions: the sessions that are followed on this node, each with one core subscription on its republished
// subjects and a short linger. How a loss of republished messages is found, though core NATS tells of none:
//
// - The stream's leader republishes in the log's order, before it answers the append; one connection keeps that order.
//   So without a disturbance nothing is missing, and one's own entry is here when its append is answered.
// - Our connection was away: every session is compared with the leader's tip, paced, before it hands out anything.
// - The leader changed, or a server left the cluster: entries may be stored and never republished, or lost on a route.
//   Every session is compared again, from some seconds back. An entry that was stored without an answer is announced
//   by its appender, once that has found it.
// - A hole on the same subject, or before what an appender knew, is seen with the next message, and read.
// - What is left (a loss that nothing pointed to): the tip of an active session is looked at when it has been silent
//   for a moment and every few seconds, that of an idle one every minute.
//
// An entry that is found after later ones were handed out cannot be given in order: its followers are told that they
// are lost, and start anew from the log.
import type { Msg, NatsConnection, Subscription as NatsSubscription } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { StorageError } from '../../ports/errors.ts'
import { FollowedSession } from './followed-session.ts'
import { CacheBudget, type CacheLimits } from './recent-entries.ts'
import type { Stored } from './record.ts'
import type { SessionSource } from './session-source.ts'

export interface LiveLimits {
  /** Milliseconds that an unused session stays subscribed. */
  readonly lingerMs: number
  /** Sessions that are compared with the log at once. */
  readonly checks: number
  /** Milliseconds between looks at the tip of an active session, and of an idle one. */
  readonly activeTipMs: number
  readonly idleTipMs: number
  /** Looks at tips in a second. */
  readonly tipsPerSecond: number
}

export const LIVE_LIMITS: LiveLimits = {
  lingerMs: 5_000,
  checks: 64,
  activeTipMs: 10_000,
  idleTipMs: 60_000,
  tipsPerSecond: 400,
}

export interface LiveOptions {
  readonly connection: NatsConnection
  readonly source: SessionSource
  readonly logger: Logger
  /** Makes an entry of a message, knowing those that this node appends. */
  readonly decode: (session: string, message: Msg) => Stored | undefined
  readonly cache?: Partial<CacheLimits>
  readonly limits?: Partial<LiveLimits>
}

/** `reading`: NATS is back, and so many sessions are still to be compared. */
export type LiveState =
  | { readonly state: 'live' }
  | { readonly state: 'away'; readonly since: number }
  | { readonly state: 'reading'; readonly left: number }

interface Followed {
  readonly feed: FollowedSession
  readonly subscription: NatsSubscription
  /** When it was last used; 0: it is. */
  idleAt: number
  lookedAt: number
}

const TICK_MS = 250
const SETTLE_MS = 5_000

export class FollowedSessions {
  readonly #options: LiveOptions
  readonly #limits: LiveLimits
  readonly #budget: CacheBudget
  readonly #followed = new Map<string, Followed>()
  readonly #turns: (() => void)[] = []
  readonly #timer: NodeJS.Timeout
  #busy = 0
  #awaySince: number | undefined
  #settledAt = performance.now()
  #closed = false

  constructor(options: LiveOptions) {
    this.#options = options
    this.#limits = { ...LIVE_LIMITS, ...options.limits }
    this.#budget = new CacheBudget(options.cache)
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  get size(): number {
    return this.#followed.size
  }

  get cachedBytes(): number {
    return this.#budget.bytes
  }

  get state(): LiveState {
    if (this.#awaySince !== undefined) return { state: 'away', since: this.#awaySince }
    let left = 0
    for (const { feed } of this.#followed.values()) if (!feed.isLive) left += 1
    return left === 0 ? { state: 'live' } : { state: 'reading', left }
  }

  /** The session's feed, if it is followed. */
  get(session: string): FollowedSession | undefined {
    return this.#followed.get(session)?.feed
  }

  /** Subscribes, unless it is followed already. `fresh`: what it starts from is asked for after this call. */
  open(session: string): { readonly feed: FollowedSession; readonly fresh: boolean } {
    const known = this.#followed.get(session)
    if (known !== undefined) return { feed: known.feed, fresh: false }
    if (this.#closed) throw new StorageError('unavailable')
    const { connection, source, logger, decode } = this.#options
    const feed = new FollowedSession({
      session,
      source,
      budget: this.#budget,
      logger,
      turn: (work) => this.#turn(work),
      idle: () => this.#unused(session, feed),
    })
    if (this.#awaySince !== undefined) feed.hold()
    const subscription = connection.subscribe(source.home(session).subjects.liveAll(session), {
      callback: (_, message) => {
        try {
          const stored = decode(session, message)
          if (stored !== undefined) feed.received(stored)
        } catch (error) {
          // A newer version's entry, or a follower's fault: no other session is harmed.
          logger.error({ err: error }, 'a followed session cannot go on')
          feed.lose(new StorageError('unavailable', error))
        }
      },
    })
    const now = performance.now()
    this.#followed.set(session, { feed, subscription, idleAt: now, lookedAt: now })
    feed.start()
    return { feed, fresh: true }
  }

  /** The connection was lost. */
  away(): void {
    this.#awaySince ??= Date.now()
    for (const { feed } of this.#followed.values()) feed.hold()
  }

  /** The connection is back: each session is compared with the log before it is live again. */
  back(): void {
    this.#awaySince = undefined
    for (const { feed } of this.#followed.values()) feed.back()
    for (const turn of this.#turns.splice(0)) turn()
  }

  /** Messages may have been lost between a stream's leader and here, some seconds ago or just now; of any stream if none is named. */
  doubt(stream?: string): void {
    const { source } = this.#options
    for (const [session, { feed }] of this.#followed) {
      if (stream === undefined || source.home(session).stream === stream) feed.doubtPast()
    }
  }

  /** No session can go on. */
  lose(error: Error): void {
    for (const { feed } of [...this.#followed.values()]) feed.lose(error)
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const [session, followed] of this.#followed) this.#forget(session, followed)
    for (const turn of this.#turns.splice(0)) turn()
  }

  async #turn<T>(work: () => Promise<T>): Promise<T> {
    while (!this.#closed && (this.#awaySince !== undefined || this.#busy >= this.#limits.checks)) {
      await new Promise<void>((resolve) => this.#turns.push(resolve))
    }
    if (this.#closed) throw new StorageError('unavailable')
    this.#busy += 1
    try {
      return await work()
    } finally {
      this.#busy -= 1
      this.#turns.shift()?.()
    }
  }

  #unused(session: string, feed: FollowedSession): void {
    const followed = this.#followed.get(session)
    if (followed?.feed !== feed) return
    if (!feed.isUsable) this.#forget(session, followed)
    else followed.idleAt = performance.now()
  }

  #forget(session: string, followed: Followed): void {
    this.#followed.delete(session)
    if (!this.#options.connection.isClosed()) followed.subscription.unsubscribe()
    followed.feed.close()
  }

  #tick(): void {
    const now = performance.now()
    const settle = now - this.#settledAt > SETTLE_MS
    if (settle) this.#settledAt = now
    const tips = (this.#limits.tipsPerSecond * TICK_MS) / 1000
    const looked: [string, Followed][] = []
    for (const [session, followed] of this.#followed) {
      const { feed } = followed
      if (settle) feed.settle()
      if (!feed.isUsed && now - followed.idleAt > this.#limits.lingerMs) this.#forget(session, followed)
      else if (looked.length < tips && feed.isLive && now - followed.lookedAt > this.#tipMs(feed)) {
        looked.push([session, followed])
      }
    }
    for (const [session, followed] of looked) {
      followed.lookedAt = now
      // To the end, so that those that had to wait are next.
      this.#followed.delete(session)
      this.#followed.set(session, followed)
      followed.feed.look()
    }
  }

  #tipMs(feed: FollowedSession): number {
    return feed.isActive ? this.#limits.activeTipMs : this.#limits.idleTipMs
  }
}
