// FollowedSession: one session that is followed on this node. One core subscription on the republished subject, one cache, any
// number of followers; `at` is where all of them are. Its invariant: every living entry up to `at` was handed out, in
// order, once.
//
//   checking ── tip reached ──> live ── a hole, a loss, a doubt ──> checking          any ── CursorLost ──> lost
//
// While it is checking, live messages wait (bounded: what does not fit is read from the log instead). A hole shows in
// two ways: the entry before on the same subject (`prev`), or the newest entry that the appender knew (`known`), is one
// that was not handed out. A loss that leaves no hole behind it is what the doubts are for: see jetstream-live.ts. What
// the log has no more, because its run was rolled up meanwhile, may be among what waits: then it is handed out from there.
import type { Logger } from 'pino'
import { FollowerList } from '../../follower-list.ts'
import type { Entry, Seq } from '../../ports/entry.ts'
import { CursorLost, StorageError } from '../../ports/errors.ts'
import type { Follower, Subscription } from '../../ports/session-log.ts'
import { SequenceWaiters } from '../../sequence-waiters.ts'
import { SingleFlight } from '../../single-flight.ts'
import { Continuity, type Stretch } from './continuity.ts'
import { PendingEntries } from './pending-entries.ts'
import type { CacheBudget, RecentEntries } from './recent-entries.ts'
import type { Stored } from './record.ts'
import type { SessionSource, StoredBatch } from './session-source.ts'

export interface FollowedSessionOptions {
  readonly session: string
  readonly source: SessionSource
  readonly budget: CacheBudget
  readonly logger: Logger
  /** Waits until NATS is there, and for a turn among all feeds that read. */
  readonly turn: <T>(work: () => Promise<T>) => Promise<T>
  /** Told when nobody uses it any more, and when it has ended. */
  readonly idle: () => void
}

const RETRY_MS = [50, 200, 1_000, 5_000] as const
/** How long what the leader has may take to be republished to here. */
const LATE_MS = 100

export class FollowedSession {
  readonly session: string
  readonly #options: FollowedSessionOptions
  readonly #recent: RecentEntries
  readonly #continuity: Continuity
  #state: 'checking' | 'live' | 'lost' | 'closed' = 'checking'
  #failure: Error | undefined
  #opened = false
  #at: Seq = 0
  /** `at` as it was some seconds ago, twice: what was handed out since may stand after a silent loss. */
  #sure: readonly [Seq, Seq] = [0, 0]
  /** A check is to be made from here. */
  #from: Seq | undefined = 0
  /** What the last check has read. */
  #checked: Stretch = { from: 0, to: 0 }
  #checking = false
  /** The connection is away, or was, and nobody said yet that what comes now can be checked. */
  #held = false
  readonly #pending = new PendingEntries()
  readonly #followers: FollowerList
  #users = 0
  readonly #waiters = new SequenceWaiters()
  #settled: (() => void)[] = []
  readonly #confirming = new SingleFlight(() => this.#confirm())
  #extending: Promise<unknown> = Promise.resolve()
  #active = true
  /** What was handed out is not kept for others: it was purged. */
  readonly forget = (): void => this.#recent.clear()

  constructor(options: FollowedSessionOptions) {
    this.session = options.session
    this.#options = options
    this.#recent = options.budget.open(0)
    this.#continuity = new Continuity(this.#recent)
    this.#followers = new FollowerList(options.logger)
  }

  get at(): Seq {
    return this.#at
  }

  get isLive(): boolean {
    return this.#state === 'live'
  }

  get isUsable(): boolean {
    return this.#state === 'live' || this.#state === 'checking'
  }

  get isUsed(): boolean {
    return this.#users > 0
  }

  /** Something came since the tip was last looked at. */
  get isActive(): boolean {
    return this.#active
  }

  /** The subscription gives this. */
  received(stored: Stored): void {
    if (stored.parts !== undefined) {
      // Too large for one message: it is read from the log.
      this.#pending.miss()
      if (this.#state === 'live') this.doubt()
    } else if (this.#state === 'live') {
      const from = this.#give(stored)
      if (from === undefined) return
      this.#put(stored)
      this.#options.logger.info({ seq: stored.entry.seq, at: this.#at }, 'a followed session had a hole; it is read')
      this.doubt(from)
    } else if (this.#state === 'checking') this.#put(stored)
  }

  /** To be called once the subscription is made: it begins at the session's tip. */
  start(): void {
    this.#beginCheck()
  }

  /** There may be a hole after a place: nothing is handed out before it was compared with the log. */
  doubt(from = this.#at): void {
    if (!this.isUsable) return
    this.#state = 'checking'
    this.#from = Math.min(this.#from ?? from, from)
    this.#beginCheck()
  }

  /** There may be one also in the last seconds before `at`. */
  doubtPast(): void {
    this.doubt(this.#sure[0])
  }

  /** The connection is away: what comes next need not follow on. */
  hold(): void {
    this.#held = true
    if (this.#state === 'live') this.#state = 'checking'
  }

  /** The connection is back. */
  back(): void {
    this.#held = false
    this.doubt()
  }

  /** Called every few seconds. */
  settle(): void {
    // Before it was checked, nothing is sure.
    if (this.#state === 'live') this.#sure = [this.#sure[1], this.#at]
  }

  /** Resolves when it is live. @throws StorageError, CursorLost when it has ended */
  async live(): Promise<void> {
    while (this.#state === 'checking') await new Promise<void>((resolve) => this.#settled.push(resolve))
    if (!this.isUsable) throw this.#failure ?? new StorageError('unavailable')
  }

  /** Everything that the leader had when this was called is handed out. @throws StorageError, CursorLost */
  confirm(): Promise<void> {
    return this.#confirming.run()
  }

  /** Resolves when `at` has got so far, or the feed is of no use any more. */
  reached(seq: Seq): Promise<void> {
    if (this.#at >= seq || !this.isUsable) return Promise.resolve()
    return this.#waiters.wait(seq)
  }

  /** `reached`, and looks in the log when it takes longer than it should. */
  async pull(seq: Seq): Promise<void> {
    if (this.#at >= seq || !this.isUsable) return
    const late = setInterval(() => this.#state === 'live' && this.doubt(), LATE_MS)
    await this.reached(seq)
    clearInterval(late)
  }

  /** Compares with the tip, and reads what is missing. */
  look(): void {
    this.#active = false
    this.confirm().catch(ignored)
  }

  /** Keeps the feed open until it is released. */
  use(): Subscription {
    this.#users += 1
    let used = true
    return {
      close: () => {
        if (!used) return
        used = false
        this.#users -= 1
        if (this.#users === 0) this.#options.idle()
      },
    }
  }

  /** The entries after a place that are at hand, the newest included; undefined when some must be read from the log. */
  recent(after: Seq): readonly Entry[] | undefined {
    return after >= this.#recent.floor ? this.#recent.after(after) : undefined
  }

  /** Reads back to a place, once for all who ask. @returns whether there is room for so much @throws StorageError, CursorLost */
  async extend(after: Seq): Promise<boolean> {
    const mine = this.#extending.catch(ignored).then(() => this.#extend(after))
    this.#extending = mine
    return mine
  }

  /** From now on it gets what is handed out. To be called in the turn in which it was given all up to `at`. */
  enter(follower: Follower): Subscription {
    const entered = this.#followers.enter(follower)
    const use = this.use()
    return {
      close: () => {
        entered.close()
        use.close()
      },
    }
  }

  hand(follower: Follower, entries: readonly Entry[]): void {
    this.#followers.hand(follower, entries)
  }

  close(): void {
    this.#end('closed', new StorageError('unavailable'))
  }

  /** The log cannot go on from here. */
  lose(error: Error): void {
    if (!this.isUsable) return
    this.#end('lost', error)
    this.#followers.lose(error)
  }

  #end(state: 'lost' | 'closed', error: Error): void {
    if (!this.isUsable) return
    this.#state = state
    this.#failure = error
    this.#pending.clear()
    this.#options.budget.closed(this.#recent)
    this.#waiters.reached(Number.POSITIVE_INFINITY)
    for (const settled of this.#settled.splice(0)) settled()
    this.#options.idle()
  }

  /** Hands out what came, if that is its turn. @returns the place from which the log is to be read before */
  #give({ entry, known }: Stored, read?: Stretch): Seq | undefined {
    const { seq, prev } = entry
    if (seq > this.#at && (prev > this.#at || known > this.#at)) return this.#at
    const verdict =
      read === undefined ? this.#continuity.judge(entry, this.#at) : this.#continuity.judgeRead(entry, this.#at, read)
    if (verdict === 'gap') return prev - 1
    if (verdict === 'late') return seq - 1
    this.#show(verdict === 'next' ? [entry] : [], seq)
    return undefined
  }

  // What came after it was handed out already, so that its followers cannot be given it in order any more.
  #tooLate(seq: Seq): CursorLost {
    this.#options.logger.warn({ seq, at: this.#at }, 'a followed session had a hole that was seen too late')
    return new CursorLost('trimmed')
  }

  #put(stored: Stored): void {
    this.#active = true
    this.#pending.put(stored)
  }

  /** @param top no other entry is between them and it */
  #show(entries: readonly Entry[], top: Seq): void {
    this.#active = true
    this.#at = Math.max(this.#at, top)
    this.#recent.add(entries, this.#at)
    for (const entry of entries) this.#continuity.took(entry)
    if (entries.length > 0) this.#followers.deliver(entries)
    this.#waiters.reached(this.#at)
  }

  #beginCheck(): void {
    if (this.#checking) return
    this.#checking = true
    this.#checkAll().catch((error: unknown) => {
      this.#options.logger.error({ err: error }, 'a followed session cannot be read')
      this.lose(new StorageError('unavailable', error))
    })
  }

  async #checkAll(): Promise<void> {
    for (let tries = 0; this.isUsable && this.#from !== undefined; ) {
      const from = this.#from
      // A doubt that comes while this is read is looked into afterwards.
      this.#from = undefined
      try {
        await this.#options.turn(() => this.#read(from))
        tries = 0
        this.#from ??= this.#resume()
      } catch (error) {
        if (error instanceof CursorLost) this.lose(error)
        else if (!(error instanceof StorageError)) throw error
        this.#from = Math.min(this.#from ?? from, from)
        const ms = RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)] as number
        if (this.isUsable) await new Promise((resolve) => setTimeout(resolve, ms))
      }
    }
    this.#checking = false
  }

  /** Hands out all that the leader has after a place. */
  async #read(from: Seq): Promise<void> {
    const { source, session } = this.#options
    // What is republished from now on is kept; whatever there was no room for is before the tip.
    this.#pending.begin()
    const tip = await source.tip(session)
    this.#active = false
    // Where nothing lives any more, what comes next may still follow on what was trimmed.
    if (!this.#opened) return this.#open(tip > 0 ? tip : await source.trimmed(session, 0))
    if (tip < this.#at) await this.#checkHistory()
    let to = tip
    for await (const batch of source.replay(session, from, tip, (seq, subject) => this.#continuity.has(seq, subject))) {
      if (!this.isUsable) return
      this.#take(batch)
      to = Math.max(to, batch.position)
    }
    this.#show([], tip)
    this.#checked = { from, to }
  }

  /** Hands out what was read, and what was rolled up under the reading but had come here before. @throws CursorLost */
  #take({ entries, position }: StoredBatch): void {
    const late = entries.find(({ entry }) => this.#continuity.judge(entry, this.#at) === 'late')
    if (late !== undefined) throw this.#tooLate(late.entry.seq)
    const next = entries.map(({ entry }) => entry).filter(({ seq }) => seq > this.#at)
    const read = new Set(next.map(({ seq }) => seq))
    const gone = this.#pending.between(this.#at, position).filter(({ seq }) => !read.has(seq))
    if (gone.length === 0) return this.#show(next, position)
    for (const entry of [...next, ...gone].sort((a, b) => a.seq - b.seq)) {
      const verdict = this.#continuity.judgeRead(entry, this.#at, { from: 0, to: position })
      if (verdict === 'next' && this.isUsable) this.#show([entry], entry.seq)
    }
    this.#show([], position)
  }

  /** The leader has less than was handed out: that was trimmed, or this is another history. @throws CursorLost */
  async #checkHistory(): Promise<void> {
    const { source, session, logger } = this.#options
    const trimmed = await source.trimmed(session, 0)
    if (trimmed >= this.#at || (await source.tip(session)) >= this.#at) return
    logger.error({ at: this.#at }, 'entries that were handed out are gone: the log was lost or restored')
    throw new CursorLost('beyond')
  }

  #open(tip: Seq): void {
    this.#opened = true
    this.#at = tip
    this.#sure = [tip, tip]
    this.#recent.add([], tip)
    this.#recent.clear()
    this.#checked = { from: tip, to: tip }
  }

  /** Hands out what came meanwhile, and goes live. @returns the place from which the log is to be read before */
  #resume(): Seq | undefined {
    // What came may stand behind what was lost with the connection: `back` has it compared.
    if (this.#held) return undefined
    if (this.#pending.missed) return this.#at
    for (let next = this.#pending.first; next !== undefined; next = this.#pending.first) {
      const from = this.#give(next, this.#checked)
      if (from !== undefined) return from
      if (!this.isUsable) return undefined
      this.#pending.removeFirst()
    }
    this.#state = 'live'
    for (const settled of this.#settled.splice(0)) settled()
    return undefined
  }

  async #confirm(): Promise<void> {
    for (;;) {
      await this.live()
      const tip = await this.#options.source.tip(this.session)
      await this.pull(tip)
      if (this.#at >= tip) return
    }
  }

  async #extend(after: Seq): Promise<boolean> {
    const { source, session, budget } = this.#options
    const floor = this.#recent.floor
    if (after >= floor) return true
    const found = await source.between(session, after, floor, budget.limits.sessionBytes)
    if (found === undefined) return false
    // A run may have been rolled up while it was read, by what is still to come. Nobody may be told of its newest entries
    // before that: the older ones are nowhere any more.
    if (found.rolledUp) await this.confirm()
    // Meanwhile the cache may have given entries up.
    return this.#recent.floor === floor && this.#recent.extend(found.entries, after)
  }
}

function ignored(): void {
  // Whoever waits for it is told by it.
}
