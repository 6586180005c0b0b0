// Feed: the live entries of one session on this node. It follows the log once for all readers, and delivers each batch to
// all live readers. While a reader catches up, the feed keeps the latest entries: they fill the gap between the reader's
// replay and the feed's position.
import type { CodecName, SessionReader } from '@parley/protocol'
import { projectLive } from '../../session/transcript/entry-projection.ts'
import type { Entry, Seq } from '../../store/ports/entry.ts'
import { CursorLost } from '../../store/ports/errors.ts'
import type { Follower, Subscription } from '../../store/ports/session-log.ts'
import { SmallMap, type SmallMapField } from '../../store/small-map.ts'
import { EntryMessage, FrameHead, type MessageData } from './entry-message.ts'
import { type NonRunEntryListener, SubjectHeads } from './subject-heads.ts'

/** A description of a reader; the node adds its own name. */
export type ReaderReport = Omit<SessionReader, 'node'>

export interface LiveReader {
  /** Called synchronously when the entries are durable. May leave the feed, but must not throw. */
  deliver(message: EntryMessage): void
  /**
   * Like `deliver`, for a reader that may take the message from a broadcast.
   * @param bytes the approximate size of the message
   * @returns the codec of the broadcast that this reader needs; undefined if it already has the message
   */
  deliverShared(message: EntryMessage, head: FrameHead, bytes: number): CodecName | undefined
  /** The log can no longer be followed from here. @param reset the delivered entries may have a gap: restart from the beginning */
  lost(reset: boolean): void
}

/** A reader, live or not, that must react to membership changes. */
export interface MemberWatcher {
  /** Called before readers get the `member.left` entry. Must not throw. */
  memberLeft(user: string): void
  /** Called before readers get the `session.deleted` entry. Must not throw. */
  sessionDeleted(): void
  report(): ReaderReport
}

/** Sends a message to all subscribers of a topic: cheaper than one send for each of many readers. */
export type Broadcast = (topic: string, data: MessageData, codec: CodecName) => void

/** Number of readers from which messages are broadcast. */
const BROADCAST_FROM = 16

/** Number of readers above which UTF-8 is encoded once for all: measured, it costs 0.3 µs and saves as much per socket. */
const SHARED_FROM = 2
const RECENT_ENTRIES = 256
const RECENT_CHARS = 256 * 1024

const READERS = new SmallMap<LiveReader, LiveReader>((reader) => reader)
const WATCHERS = new SmallMap<MemberWatcher, MemberWatcher>((watcher) => watcher)

/** Shared by all feeds, because nearly always no reader catches up. Never mutated, only replaced. */
const NO_ENTRIES: Entry[] = []

export class Feed implements Follower, NonRunEntryListener {
  readonly #session: string
  readonly #epoch: string
  /** Created for the first entry, like `#heads`, because most followed sessions are idle. */
  #head: FrameHead | undefined
  #readers: SmallMapField<LiveReader, LiveReader>
  #watchers: SmallMapField<MemberWatcher, MemberWatcher>
  /** The readers as a list, which is faster to iterate; undefined after a change. */
  #readerList: readonly LiveReader[] | undefined
  readonly #broadcast: Broadcast | undefined
  #heads: SubjectHeads | undefined
  #position: Seq
  #subscription: Subscription | undefined
  #lost = false
  #deleted = false
  /** Number of readers that catch up. */
  #catchingUp = 0
  /** Every entry after `#recentFrom`, while a reader catches up. */
  #recent = NO_ENTRIES
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

  /** The sequence number of the last entry that live readers have received. */
  get position(): Seq {
    return this.#position
  }

  get isLost(): boolean {
    return this.#lost
  }

  /** Whether the session was deleted. */
  get isDeleted(): boolean {
    return this.#deleted
  }

  entries(entries: readonly Entry[]): void {
    const last = entries[entries.length - 1]
    if (last === undefined) return
    if (this.#catchingUp > 0) this.#remember(entries)
    this.#heads ??= new SubjectHeads(this.#position)
    this.#position = last.seq
    const inFull = this.#heads.record(entries, this)
    this.#readerList ??= [...READERS.all(this.#readers)]
    const readers = this.#readerList
    if (readers.length === 0) return
    const message = new EntryMessage(this.head, projectLive(entries, inFull), last.seq, readers.length > SHARED_FROM)
    if (this.#broadcast === undefined || message.empty || readers.length < BROADCAST_FROM) {
      for (const reader of readers) reader.deliver(message)
    } else this.#share(message, readers, this.#broadcast)
  }

  lost(error: Error): void {
    this.#lost = true
    const readers = [...READERS.all(this.#readers)]
    this.#readers = undefined
    this.#readerList = undefined
    // CursorLost: an entry may be missing among the delivered ones.
    const reset = error instanceof CursorLost
    for (const reader of readers) reader.lost(reset)
  }

  onNonRunEntry({ event }: Entry): void {
    if (event.type === 'member.left') {
      for (const watcher of [...WATCHERS.all(this.#watchers)]) watcher.memberLeft(event.user)
    } else if (event.type === 'session.deleted') {
      this.#deleted = true
      for (const watcher of [...WATCHERS.all(this.#watchers)]) watcher.sessionDeleted()
    }
  }

  setSubscription(subscription: Subscription): void {
    this.#subscription = subscription
  }

  /** The reader must have everything up to `position` in the same synchronous step. */
  join(reader: LiveReader): void {
    this.#readers = READERS.with(this.#readers, reader)
    this.#readerList = undefined
  }

  leave(reader: LiveReader): void {
    this.#readers = READERS.without(this.#readers, reader)
    this.#readerList = undefined
  }

  watch(watcher: MemberWatcher): void {
    this.#watchers = WATCHERS.with(this.#watchers, watcher)
  }

  unwatch(watcher: MemberWatcher): void {
    this.#watchers = WATCHERS.without(this.#watchers, watcher)
  }

  /** Reports of all readers, also of those that still catch up. */
  reports(): ReaderReport[] {
    return Array.from(WATCHERS.all(this.#watchers), (watcher) => watcher.report())
  }

  /** Keeps the latest entries until the returned function is called. */
  keepRecent(): () => void {
    if (this.#catchingUp === 0) this.#recentFrom = this.#position
    this.#catchingUp += 1
    let isKept = true
    return () => {
      if (!isKept) return
      isKept = false
      this.#catchingUp -= 1
      if (this.#catchingUp > 0) return
      this.#recent = NO_ENTRIES
      this.#recentChars = 0
    }
  }

  /** All entries after `position` up to the feed's position; undefined if some of them were not kept. */
  entriesAfter(position: Seq): readonly Entry[] | undefined {
    if (position >= this.#position) return []
    if (this.#catchingUp === 0 || position < this.#recentFrom) return undefined
    return this.#recent.filter((entry) => entry.seq > position)
  }

  close(): void {
    this.#subscription?.close()
    this.#readers = undefined
    this.#readerList = undefined
  }

  #share(message: EntryMessage, readers: readonly LiveReader[], broadcast: Broadcast): void {
    const bytes = message.length
    let json = false
    let msgpack = false
    for (const reader of readers) {
      const codec = reader.deliverShared(message, this.head, bytes)
      if (codec === 'json') json = true
      else if (codec === 'msgpack') msgpack = true
    }
    if (json) broadcast(this.head.topic('json'), message.in('json'), 'json')
    if (msgpack) broadcast(this.head.topic('msgpack'), message.in('msgpack'), 'msgpack')
  }

  #remember(entries: readonly Entry[]): void {
    if (this.#recent === NO_ENTRIES) this.#recent = []
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
