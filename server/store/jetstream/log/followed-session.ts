// FollowedSession: a session that this node follows: one core NATS subscription, one cache, any number of followers at
// one position. Invariant: every living entry up to the position was delivered once, in order.
//
//   checking ── log read up to the tip ──> live ── gap, disconnect, recheck ──> checking     any ── CursorLost ──> lost
//
// While it is checking, it buffers live messages; messages beyond the buffer's limit are read from the log instead.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { FollowerList, type FollowerListOwner } from '../../follower-list.ts'
import type { Entry, Seq } from '../../ports/entry.ts'
import { CursorLost, StorageError } from '../../ports/errors.ts'
import type { Follower, Subscription } from '../../ports/session-log.ts'
import { SequenceWaiters } from '../../sequence-waiters.ts'
import { SingleFlight } from '../../single-flight.ts'
import { extendCache } from './cache-extension.ts'
import { Continuity, type ReadRange } from './continuity.ts'
import { PendingEntries } from './pending-entries.ts'
import type { CacheBudget, RecentEntries } from './recent-entries.ts'
import type { Stored } from './record.ts'
import type { SessionSource, StoredBatch } from './session-source.ts'

/** What all followed sessions share. */
export interface FollowedSessionPorts {
  readonly source: SessionSource
  readonly budget: CacheBudget
  readonly logger: Logger
  /** Runs the work when NATS is connected and one of the slots that all followed sessions share is free. */
  readonly withSlot: <T>(work: () => Promise<T>) => Promise<T>
  /** Called when the last user has released it, and when it has ended. */
  readonly onIdle: (followed: FollowedSession) => void
}

const RETRY_MS = [50, 200, 1_000, 5_000] as const
/** Time for a stored entry to be republished to this node, before it is read from the log. */
const LATE_MS = 100

export class FollowedSession implements FollowerListOwner {
  readonly session: string
  readonly #ports: FollowedSessionPorts
  readonly #recent: RecentEntries
  readonly #continuity: Continuity
  #state: 'checking' | 'live' | 'lost' | 'closed' = 'checking'
  #failure: Error | undefined
  #opened = false
  #position: Seq = 0
  /** The position at the last call of `rememberPosition`, and at the one before. Later entries may follow an undetected loss. */
  #lastPosition: Seq = 0
  #earlierPosition: Seq = 0
  /** The position after which the next check reads the log; undefined if none is due. */
  #checkFrom: Seq | undefined = 0
  #lastRead: ReadRange = { from: 0, to: 0 }
  #isChecking = false
  /** Set until `reconnected`: messages that arrive before it cannot be checked for a gap. */
  #isDisconnected = false
  readonly #pending = new PendingEntries()
  readonly #followers: FollowerList
  #users = 0
  readonly #waiters = new SequenceWaiters()
  readonly #liveWaiters: (() => void)[] = []
  readonly #confirming = new SingleFlight()
  #extending: Promise<unknown> | undefined
  #active = true

  constructor(session: string, ports: FollowedSessionPorts) {
    this.session = session
    this.#ports = ports
    this.#recent = ports.budget.open(0)
    this.#continuity = new Continuity(this.#recent)
    this.#followers = new FollowerList(this)
  }

  get logger(): Logger {
    return this.#ports.logger
  }

  get position(): Seq {
    return this.#position
  }

  get isLive(): boolean {
    return this.#state === 'live'
  }

  get isUsable(): boolean {
    return this.#state === 'live' || this.#state === 'checking'
  }

  get isUsed(): boolean {
    return this.#users > 0 || this.#followers.size > 0
  }

  /** Whether entries arrived since the last check of the tip. */
  get isActive(): boolean {
    return this.#active
  }

  /** Handles a message of the subscription. */
  receive(stored: Stored): void {
    if (stored.parts !== undefined) {
      // The entry is too large for one message: read it from the log.
      this.#pending.miss()
      if (this.#state === 'live') this.recheck()
    } else if (this.#state === 'live') {
      const from = this.#accept(stored)
      if (from === undefined) return
      this.#buffer(stored)
      this.#ports.logger.info({ seq: stored.entry.seq, at: this.#position }, 'gap in a followed session, refetching')
      this.recheck(from)
    } else if (this.#state === 'checking') this.#buffer(stored)
  }

  /** Starts at the session's tip. Call it once the subscription exists, so that no entry is missed in between. */
  start(): void {
    this.#startCheck()
  }

  /** Compares the entries after a position with the log before it delivers more. */
  recheck(from = this.#position): void {
    if (!this.isUsable) return
    this.#state = 'checking'
    this.#checkFrom = Math.min(this.#checkFrom ?? from, from)
    this.#startCheck()
  }

  /** Also compares the entries that were delivered in the last seconds. */
  recheckRecent(): void {
    this.recheck(this.#earlierPosition)
  }

  disconnected(): void {
    this.#isDisconnected = true
    if (this.#state === 'live') this.#state = 'checking'
  }

  reconnected(): void {
    this.#isDisconnected = false
    this.recheck()
  }

  /** Called every few seconds. */
  rememberPosition(): void {
    // Before a check has finished, the position is not confirmed.
    if (this.#state !== 'live') return
    this.#earlierPosition = this.#lastPosition
    this.#lastPosition = this.#position
  }

  /** Resolves when it is live. @throws StorageError, CursorLost when it has ended */
  async live(): Promise<void> {
    while (this.#state === 'checking') await new Promise<void>((resolve) => this.#liveWaiters.push(resolve))
    if (!this.isUsable) throw this.#failure ?? new StorageError('unavailable')
  }

  /** Resolves when everything that the leader had at the call is delivered. @throws StorageError, CursorLost */
  confirm(): Promise<void> {
    return this.#confirming.run(() => this.#confirm())
  }

  /** Resolves when the position has reached the number, or this session has ended. */
  reached(seq: Seq): Promise<void> {
    if (this.#position >= seq || !this.isUsable) return Promise.resolve()
    return this.#waiters.wait(seq)
  }

  /** Like `reached`, but reads the log if the live message is late. */
  async catchUp(seq: Seq): Promise<void> {
    if (this.#position >= seq || !this.isUsable) return
    const late = setInterval(() => this.#state === 'live' && this.recheck(), LATE_MS)
    await this.reached(seq)
    clearInterval(late)
  }

  /** Compares with the tip, and reads missing entries. */
  checkTip(): void {
    this.#active = false
    this.confirm().catch(ignore)
  }

  /** Keeps the subscription until the returned handle is closed. */
  use(): Subscription {
    this.#users += 1
    let used = true
    return {
      close: () => {
        if (!used) return
        used = false
        this.#users -= 1
        this.userLeft()
      },
    }
  }

  userLeft(): void {
    if (!this.isUsed) this.#ports.onIdle(this)
  }

  /** The cached entries after a position, up to the newest; undefined if some must be read from the log. */
  recent(after: Seq): readonly Entry[] | undefined {
    return after >= this.#recent.floor ? this.#recent.after(after) : undefined
  }

  /** Drops the cache, because the session was purged. */
  clearCache(): void {
    this.#recent.clear()
  }

  /** Reads older entries into the cache, for one caller at a time. @returns whether they fit @throws StorageError */
  async extend(after: Seq): Promise<boolean> {
    const before = this.#extending ?? Promise.resolve()
    const mine = before
      .catch(ignore)
      .then(() => extendCache(this.#ports, this.session, this.#recent, after, () => this.confirm()))
    this.#extending = mine
    return mine
  }

  /** Adds a follower. Call it in the turn in which the follower received everything up to the position. */
  add(follower: Follower): Subscription {
    return this.#followers.add(follower)
  }

  deliverTo(follower: Follower, entries: readonly Entry[]): void {
    this.#followers.deliverTo(follower, entries)
  }

  close(): void {
    this.#end('closed', new StorageError('unavailable'))
  }

  /** Ends it, because the log cannot continue from its position. */
  fail(error: Error): void {
    if (!this.isUsable) return
    this.#end('lost', error)
    this.#followers.fail(error)
  }

  #end(state: 'lost' | 'closed', error: Error): void {
    if (!this.isUsable) return
    this.#state = state
    this.#failure = error
    this.#pending.clear()
    this.#ports.budget.closed(this.#recent)
    this.#waiters.reached(Number.POSITIVE_INFINITY)
    for (const resolve of this.#liveWaiters.splice(0)) resolve()
    this.#ports.onIdle(this)
  }

  /** Delivers the entry if it is next. @returns the position from which to read the log first, if there is a gap */
  #accept({ entry, known }: Stored, read?: ReadRange): Seq | undefined {
    const { seq, prev } = entry
    if (seq > this.#position && (prev > this.#position || known > this.#position)) return this.#position
    const verdict =
      read === undefined
        ? this.#continuity.judge(entry, this.#position)
        : this.#continuity.judgeRead(entry, this.#position, read)
    if (verdict === 'gap') return prev - 1
    if (verdict === 'late') return seq - 1
    this.#deliver(verdict === 'next' ? [entry] : [], seq)
    return undefined
  }

  // Later entries were already delivered, so the followers cannot receive this one in order.
  #tooLate(seq: Seq): CursorLost {
    this.#ports.logger.warn({ seq, at: this.#position }, 'gap in a followed session detected too late')
    return new CursorLost('trimmed')
  }

  #buffer(stored: Stored): void {
    this.#active = true
    this.#pending.put(stored)
  }

  /** @param top the new position: the session has no other entries up to it */
  #deliver(entries: readonly Entry[], top: Seq): void {
    this.#active = true
    this.#position = Math.max(this.#position, top)
    this.#recent.add(entries, this.#position)
    for (const entry of entries) this.#continuity.delivered(entry)
    if (entries.length > 0) this.#followers.deliver(entries)
    this.#waiters.reached(this.#position)
  }

  #startCheck(): void {
    if (this.#isChecking) return
    this.#isChecking = true
    this.#runChecks().catch((error: unknown) => {
      this.#ports.logger.error({ err: error }, 'failed to read a followed session')
      this.fail(new StorageError('unavailable', error))
    })
  }

  async #runChecks(): Promise<void> {
    for (let tries = 0; this.isUsable && this.#checkFrom !== undefined; ) {
      const from = this.#checkFrom
      // A recheck that is requested during the read runs afterwards.
      this.#checkFrom = undefined
      try {
        await this.#ports.withSlot(() => this.#readLog(from))
        tries = 0
        this.#checkFrom ??= this.#goLive()
      } catch (error) {
        if (error instanceof CursorLost) this.fail(error)
        else if (!(error instanceof StorageError)) throw error
        this.#checkFrom = Math.min(this.#checkFrom ?? from, from)
        const ms = RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)] as number
        if (this.isUsable) await sleep(ms)
      }
    }
    this.#isChecking = false
  }

  /** Delivers everything that the leader has after a position. */
  async #readLog(from: Seq): Promise<void> {
    const { source } = this.#ports
    // Messages republished from here on are buffered; any that did not fit before are below the tip, and are read.
    this.#pending.begin()
    const tip = await source.tip(this.session)
    this.#active = false
    // If no entry is left, the next one may still refer to a trimmed one.
    if (!this.#opened) return this.#open(tip > 0 ? tip : await source.trimmed(this.session, 0))
    if (tip < this.#position) await this.#checkHistory()
    let to = tip
    for await (const batch of source.replay(this.session, from, tip, (seq, subject) =>
      this.#continuity.has(seq, subject),
    )) {
      if (!this.isUsable) return
      this.#deliverBatch(batch)
      to = Math.max(to, batch.position)
    }
    this.#deliver([], tip)
    this.#lastRead = { from, to }
  }

  /** Delivers the batch, and live entries that were compacted before the read reached them. @throws CursorLost */
  #deliverBatch({ entries, position }: StoredBatch): void {
    const late = entries.find(({ entry }) => this.#continuity.judge(entry, this.#position) === 'late')
    if (late !== undefined) throw this.#tooLate(late.entry.seq)
    const next = entries.map(({ entry }) => entry).filter(({ seq }) => seq > this.#position)
    const read = new Set(next.map(({ seq }) => seq))
    const missing = this.#pending.between(this.#position, position).filter(({ seq }) => !read.has(seq))
    if (missing.length === 0) return this.#deliver(next, position)
    for (const entry of [...next, ...missing].sort((a, b) => a.seq - b.seq)) {
      const verdict = this.#continuity.judgeRead(entry, this.#position, { from: 0, to: position })
      if (verdict === 'next' && this.isUsable) this.#deliver([entry], entry.seq)
    }
    this.#deliver([], position)
  }

  /** Called if the leader's tip is below the position: entries were trimmed, or lost. @throws CursorLost */
  async #checkHistory(): Promise<void> {
    const { source, logger } = this.#ports
    const trimmed = await source.trimmed(this.session, 0)
    if (trimmed >= this.#position || (await source.tip(this.session)) >= this.#position) return
    logger.error({ at: this.#position }, 'delivered entries are gone: the log was lost or restored')
    throw new CursorLost('beyond')
  }

  #open(tip: Seq): void {
    this.#opened = true
    this.#position = tip
    this.#lastPosition = tip
    this.#earlierPosition = tip
    this.#recent.add([], tip)
    this.#recent.clear()
    this.#lastRead = { from: tip, to: tip }
  }

  /** Delivers the buffered entries, and goes live. @returns the position from which to read the log first, if any */
  #goLive(): Seq | undefined {
    // Buffered entries may follow entries that were lost with the connection: `reconnected` starts another check.
    if (this.#isDisconnected) return undefined
    if (this.#pending.missed) return this.#position
    for (let next = this.#pending.first; next !== undefined; next = this.#pending.first) {
      const from = this.#accept(next, this.#lastRead)
      if (from !== undefined) return from
      if (!this.isUsable) return undefined
      this.#pending.removeFirst()
    }
    this.#state = 'live'
    for (const resolve of this.#liveWaiters.splice(0)) resolve()
    return undefined
  }

  async #confirm(): Promise<void> {
    for (;;) {
      await this.live()
      const tip = await this.#ports.source.tip(this.session)
      await this.catchUp(tip)
      if (this.#position >= tip) return
    }
  }
}

function ignore(): void {
  // The waiting callers receive the error through their own promises.
}
