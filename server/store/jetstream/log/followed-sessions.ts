// FollowedSessions: the sessions that this node follows, each with a core NATS subscription on its republished
// subjects. It detects lost messages, which core NATS does not report, and compares the sessions with the log.
import type {
  Msg,
  NatsConnection,
  Subscription as NatsSubscription,
  SubscriptionOptions,
} from '@nats-io/transport-node'
import type { Logger } from 'pino'
import { StorageError } from '../../ports/errors.ts'
import { FollowedSession, type FollowedSessionPorts } from './followed-session.ts'
import { CacheBudget, type CacheLimits } from './recent-entries.ts'
import type { LogSubjects, Names, Stored } from './record.ts'
import type { SessionSource } from './session-source.ts'

export interface FollowLimits {
  /** Milliseconds that an unused session stays subscribed. */
  readonly lingerMs: number
  /** Sessions that are compared with the log concurrently. */
  readonly checks: number
  /** Milliseconds between tip checks of an active session, and of an idle one. */
  readonly activeTipMs: number
  readonly idleTipMs: number
  readonly tipChecksPerSecond: number
}

const FOLLOW_LIMITS: FollowLimits = {
  lingerMs: 5_000,
  checks: 64,
  activeTipMs: 10_000,
  idleTipMs: 60_000,
  tipChecksPerSecond: 400,
}

export interface FollowedSessionsOptions {
  readonly connection: NatsConnection
  readonly source: SessionSource
  readonly logger: Logger
  /** Decodes a message, and recognizes entries that this node appended. */
  readonly decode: (subject: string, message: Msg) => Stored | undefined
  readonly cache?: Partial<CacheLimits>
  readonly limits?: Partial<FollowLimits>
}

/** `checking`: NATS is connected again, and `remaining` sessions are not yet compared with the log. */
export type FollowState =
  | { readonly state: 'live' }
  | { readonly state: 'away'; readonly since: number }
  | { readonly state: 'checking'; readonly remaining: number }

interface Tracked {
  readonly followed: FollowedSession
  readonly subscription: NatsSubscription
  /** Since when it is unused, if it is. */
  idleAt: number
  checkedAt: number
}

const TICK_MS = 250
const REMEMBER_MS = 5_000

/**
 * How it detects lost messages:
 *
 * - A stream's leader republishes entries in the log's order before it acknowledges the append, and a connection keeps
 *   that order. So without disturbances nothing is lost, and a node's own entry arrives before its acknowledgement.
 * - After a reconnect, every session is compared with the leader's tip, a limited number at a time, before it is live.
 * - After a change of the leader or of the cluster's servers, entries may have been stored and never republished, or
 *   lost on a route. Every session is compared again, starting some seconds back. If an acknowledgement was lost, too,
 *   the appender announces its entry as soon as it finds it stored.
 * - The next message reveals a gap by its predecessor on the subject (`prev`), or by the newest entry that its appender
 *   knew (`known`).
 * - For losses without any such sign, the tip of an active session is checked every few seconds, and that of an idle
 *   session every minute.
 *
 * If an entry is found after later ones were delivered, the followers get `lost`, and restart from the log.
 */
export class FollowedSessions {
  readonly #options: FollowedSessionsOptions
  readonly #limits: FollowLimits
  readonly #budget: CacheBudget
  readonly #ports: FollowedSessionPorts
  /** By the subjects of a partition: what all its subscriptions share. */
  readonly #receivers: ReadonlyMap<LogSubjects, SubscriptionOptions>
  readonly #tracked = new Map<string, Tracked>()
  readonly #waitingForSlot: (() => void)[] = []
  readonly #timer: NodeJS.Timeout
  #usedSlots = 0
  #awaySince: number | undefined
  #rememberedAt = performance.now()
  #closed = false

  constructor(options: FollowedSessionsOptions) {
    this.#options = options
    this.#limits = { ...FOLLOW_LIMITS, ...options.limits }
    this.#budget = new CacheBudget(options.cache)
    this.#ports = {
      source: options.source,
      budget: this.#budget,
      logger: options.logger,
      withSlot: (work) => this.#withSlot(work),
      onIdle: (followed) => this.#idle(followed),
    }
    this.#receivers = new Map(
      options.source.homes.map(({ subjects }) => [
        subjects,
        { callback: (_, message) => this.#receive(subjects.ofLive(message.subject), message) },
      ]),
    )
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  get cachedBytes(): number {
    return this.#budget.bytes
  }

  get state(): FollowState {
    if (this.#awaySince !== undefined) return { state: 'away', since: this.#awaySince }
    let remaining = 0
    for (const { followed } of this.#tracked.values()) if (!followed.isLive) remaining += 1
    return remaining === 0 ? { state: 'live' } : { state: 'checking', remaining }
  }

  get(session: string): FollowedSession | undefined {
    return this.#tracked.get(session)?.followed
  }

  /** Follows the session. `isNew`: it was not followed before, so its first tip is read after this call. */
  open(session: string): { readonly followed: FollowedSession; readonly isNew: boolean } {
    const known = this.#tracked.get(session)
    if (known !== undefined) return { followed: known.followed, isNew: false }
    if (this.#closed) throw new StorageError('unavailable')
    const { connection, source } = this.#options
    const followed = new FollowedSession(session, this.#ports)
    if (this.#awaySince !== undefined) followed.disconnected()
    const { subjects } = source.home(session)
    const subscription = connection.subscribe(subjects.liveAll(session), this.#receivers.get(subjects))
    const now = performance.now()
    this.#tracked.set(session, { followed, subscription, idleAt: now, checkedAt: now })
    followed.start()
    return { followed, isNew: true }
  }

  disconnected(): void {
    this.#awaySince ??= Date.now()
    for (const { followed } of this.#tracked.values()) followed.disconnected()
  }

  /** Compares each session with the log before it is live again. */
  reconnected(): void {
    this.#awaySince = undefined
    for (const { followed } of this.#tracked.values()) followed.reconnected()
    for (const resolve of this.#waitingForSlot.splice(0)) resolve()
  }

  /** Compares sessions with the log: messages of this or any stream may have been lost in the last seconds. */
  recheck(stream?: string): void {
    const { source } = this.#options
    for (const [session, { followed }] of this.#tracked) {
      if (stream === undefined || source.home(session).stream === stream) followed.recheckRecent()
    }
  }

  /** Ends all sessions with an error. */
  fail(error: Error): void {
    for (const { followed } of [...this.#tracked.values()]) followed.fail(error)
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const [session, tracked] of this.#tracked) this.#remove(session, tracked)
    for (const resolve of this.#waitingForSlot.splice(0)) resolve()
  }

  async #withSlot<T>(work: () => Promise<T>): Promise<T> {
    while (!this.#closed && (this.#awaySince !== undefined || this.#usedSlots >= this.#limits.checks)) {
      await new Promise<void>((resolve) => this.#waitingForSlot.push(resolve))
    }
    if (this.#closed) throw new StorageError('unavailable')
    this.#usedSlots += 1
    try {
      return await work()
    } finally {
      this.#usedSlots -= 1
      this.#waitingForSlot.shift()?.()
    }
  }

  #receive({ session, subject }: Names, message: Msg): void {
    const followed = this.get(session)
    // A part is read with its entry.
    if (followed === undefined || subject === undefined) return
    const { decode, logger } = this.#options
    try {
      const stored = decode(subject, message)
      if (stored !== undefined) followed.receive(stored)
    } catch (error) {
      // An entry of a newer version, or a defect. Only this session ends.
      logger.error({ err: error }, 'failed to decode an entry of a followed session')
      followed.fail(new StorageError('unavailable', error))
    }
  }

  #idle(followed: FollowedSession): void {
    const tracked = this.#tracked.get(followed.session)
    if (tracked?.followed !== followed) return
    if (!followed.isUsable) this.#remove(followed.session, tracked)
    else tracked.idleAt = performance.now()
  }

  #remove(session: string, tracked: Tracked): void {
    this.#tracked.delete(session)
    if (!this.#options.connection.isClosed()) tracked.subscription.unsubscribe()
    tracked.followed.close()
  }

  #tick(): void {
    const now = performance.now()
    const remember = now - this.#rememberedAt > REMEMBER_MS
    if (remember) this.#rememberedAt = now
    const maxChecks = (this.#limits.tipChecksPerSecond * TICK_MS) / 1000
    const due: [string, Tracked][] = []
    for (const [session, tracked] of this.#tracked) {
      const { followed } = tracked
      if (remember) followed.rememberPosition()
      if (!followed.isUsed && now - tracked.idleAt > this.#limits.lingerMs) this.#remove(session, tracked)
      else if (due.length < maxChecks && followed.isLive && now - tracked.checkedAt > this.#tipMs(followed)) {
        due.push([session, tracked])
      }
    }
    for (const [session, tracked] of due) {
      tracked.checkedAt = now
      // Moved to the end of the map, so that sessions beyond the rate limit are first in the next tick.
      this.#tracked.delete(session)
      this.#tracked.set(session, tracked)
      tracked.followed.checkTip()
    }
  }

  #tipMs(followed: FollowedSession): number {
    return followed.isActive ? this.#limits.activeTipMs : this.#limits.idleTipMs
  }
}
