// Feed: the live end of one session on this node. It follows the log once, whoever reads, and hands each
// batch to all live readers at once. While somebody catches up it keeps the latest entries, so that the
// step from replay to live needs no gap-free read: what lies between is here.
import type { CodecName, SessionReader } from '@parley/protocol'
import { shownLive } from '../../session/transcript/entry-projection.ts'
import type { Entry, Seq } from '../../store/ports/entry.ts'
import { CursorLost } from '../../store/ports/errors.ts'
import type { Follower, Subscription } from '../../store/ports/session-log.ts'
import { SmallMap, type SmallMapField } from '../../store/small-map.ts'
import { EntryMessage, FrameHead, type MessageData } from './entry-message.ts'
import { type OtherEntries, SubjectHeads } from './subject-heads.ts'

/** What is told of a reader; which node it is on, its node adds. */
export type ReaderReport = Omit<SessionReader, 'node'>

export interface LiveReader {
  /** Called synchronously when the entries are durable. May leave the feed, and must not throw. */
  deliver(message: EntryMessage): void
  /**
   * As `deliver`, to one of many. @param bytes of the message, about. @returns the codec in which the message is still to be broadcast, to all who said so;
   * undefined when this reader has it already
   */
  share(message: EntryMessage, head: FrameHead, bytes: number): CodecName | undefined
  /** The log can no longer be followed from here. @param anew what was delivered may lack an entry: from the beginning */
  lost(anew: boolean): void
}

/** Somebody who reads, live or not yet: to whom it matters who is a member of the session. */
export interface MemberWatcher {
  /** Called before readers are sent the entry that says so. Must not throw. */
  memberLeft(user: string): void
  /** The session is over, for everybody. As above. */
  sessionDeleted(): void
  report(): ReaderReport
}

/** Sends a message to all who subscribed to a topic: for the many readers of one session, at less than a send for each. */
export type Broadcast = (topic: string, data: MessageData, codec: CodecName) => void

/** Readers from which on a message is broadcast to them. */
const BROADCAST_FROM = 16

/** Readers above which a message is encoded for all: measured, that costs 0.3 µs, and spares each socket as much. */
const SHARED_FROM = 2
const RECENT_ENTRIES = 256
const RECENT_CHARS = 256 * 1024

const READERS = new SmallMap<LiveReader, LiveReader>((reader) => reader)
const WATCHERS = new SmallMap<MemberWatcher, MemberWatcher>((watcher) => watcher)

/** Nearly always nobody catches up. Never changed: another list takes its place. */
const NOTHING: Entry[] = []

export class Feed implements Follower, OtherEntries {
  readonly #session: string
  readonly #epoch: string
  /** There from the first entry on, as is `#ends`: most sessions that are read are silent. */
  #head: FrameHead | undefined
  #readers: SmallMapField<LiveReader, LiveReader>
  #watchers: SmallMapField<MemberWatcher, MemberWatcher>
  /** The same as a list, which costs less to go through; made anew after one came or left. */
  #present: readonly LiveReader[] | undefined
  readonly #broadcast: Broadcast | undefined
  #ends: SubjectHeads | undefined
  #position: Seq
  #subscription: Subscription | undefined
  #lost = false
  #deleted = false
  #catching = 0
  /** Every entry after `#recentFrom`, while somebody catches up. */
  #recent = NOTHING
  #recentFrom: Seq
  #recentChars = 0

  constructor(session: string, epoch: string, position: Seq, broadcast?: Broadcast) {
    this.#broadcast = broadcast
    this.#session = session
    this.#epoch = epoch
    this.#position = position
    this.#recentFrom = position
  }

  get head(): FrameHead {
    this.#head ??= new FrameHead(this.#session, this.#epoch)
    return this.#head
  }

  /** The sequence number of the last entry that live readers have. */
  get position(): Seq {
    return this.#position
  }

  get isLost(): boolean {
    return this.#lost
  }

  /** Nobody may read it any more. */
  get isDeleted(): boolean {
    return this.#deleted
  }

  /** The log's follower. */
  entries(entries: readonly Entry[]): void {
    const last = entries[entries.length - 1]
    if (last === undefined) return
    if (this.#catching > 0) this.#remember(entries)
    this.#ends ??= new SubjectHeads(this.#position)
    this.#position = last.seq
    const whole = this.#ends.take(entries, this)
    this.#present ??= [...READERS.all(this.#readers)]
    const readers = this.#present
    if (readers.length === 0) return
    const message = new EntryMessage(this.head, shownLive(entries, whole), last.seq, readers.length > SHARED_FROM)
    if (this.#broadcast === undefined || message.empty || readers.length < BROADCAST_FROM) {
      for (const reader of readers) reader.deliver(message)
    } else this.#share(message, readers, this.#broadcast)
  }

  lost(error: Error): void {
    this.#lost = true
    const readers = [...READERS.all(this.#readers)]
    this.#readers = undefined
    this.#present = undefined
    // An entry may have been found in the midst of those that they were given.
    const anew = error instanceof CursorLost
    for (const reader of readers) reader.lost(anew)
  }

  /** Who was a member, or whether the session is over, is told before readers are sent the entry that says so. */
  ofNoRun({ event }: Entry): void {
    if (event.type === 'member.left') {
      for (const watcher of [...WATCHERS.all(this.#watchers)]) watcher.memberLeft(event.user)
    } else if (event.type === 'session.deleted') {
      this.#deleted = true
      for (const watcher of [...WATCHERS.all(this.#watchers)]) watcher.sessionDeleted()
    }
  }

  followWith(subscription: Subscription): void {
    this.#subscription = subscription
  }

  /** The reader has everything up to `position`, in the same synchronous step. */
  join(reader: LiveReader): void {
    this.#readers = READERS.with(this.#readers, reader)
    this.#present = undefined
  }

  leave(reader: LiveReader): void {
    this.#readers = READERS.without(this.#readers, reader)
    this.#present = undefined
  }

  watch(watcher: MemberWatcher): void {
    this.#watchers = WATCHERS.with(this.#watchers, watcher)
  }

  unwatch(watcher: MemberWatcher): void {
    this.#watchers = WATCHERS.without(this.#watchers, watcher)
  }

  /** All who read, also those who still catch up. */
  reports(): ReaderReport[] {
    return Array.from(WATCHERS.all(this.#watchers), (watcher) => watcher.report())
  }

  /** Keeps the latest entries until the returned function is called. */
  keepRecent(): () => void {
    if (this.#catching === 0) this.#recentFrom = this.#position
    this.#catching += 1
    let kept = true
    return () => {
      if (!kept) return
      kept = false
      this.#catching -= 1
      if (this.#catching > 0) return
      this.#recent = NOTHING
      this.#recentChars = 0
    }
  }

  /** All entries after a position up to the feed's own; undefined when not all of them are at hand. */
  since(position: Seq): readonly Entry[] | undefined {
    if (position >= this.#position) return []
    if (this.#catching === 0 || position < this.#recentFrom) return undefined
    return this.#recent.filter((entry) => entry.seq > position)
  }

  close(): void {
    this.#subscription?.close()
    this.#readers = undefined
    this.#present = undefined
  }

  #share(message: EntryMessage, readers: readonly LiveReader[], broadcast: Broadcast): void {
    const bytes = message.length
    let json = false
    let msgpack = false
    for (const reader of readers) {
      const codec = reader.share(message, this.head, bytes)
      if (codec === 'json') json = true
      else if (codec === 'msgpack') msgpack = true
    }
    if (json) broadcast(this.head.topic('json'), message.in('json'), 'json')
    if (msgpack) broadcast(this.head.topic('msgpack'), message.in('msgpack'), 'msgpack')
  }

  #remember(entries: readonly Entry[]): void {
    if (this.#recent === NOTHING) this.#recent = []
    for (const entry of entries) {
      this.#recent.push(entry)
      this.#recentChars += entry.json.length
    }
    let dropped = 0
    while (this.#recent.length - dropped > RECENT_ENTRIES || this.#recentChars > RECENT_CHARS) {
      const oldest = this.#recent[dropped]
      if (oldest === undefined) break
      this.#recentFrom = oldest.seq
      this.#recentChars -= oldest.json.length
      dropped += 1
    }
    if (dropped > 0) this.#recent.splice(0, dropped)
  }
}
