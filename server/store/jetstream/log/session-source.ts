// SessionSource: reads a session from the streams: its tip from the leader, its entries with Direct Get, its
// watermarks. All entries of a session are in one stream, chosen by the session's name, so their sequence numbers
// always grow.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Entry, Seq } from '../../ports/entry.ts'
import { CursorLost, StorageError } from '../../ports/errors.ts'
import type { Partition, Streams } from '../streams.ts'
import type { DirectReader } from './direct-reader.ts'
import type { Publisher } from './publisher.ts'
import { decodeLine, joinParts, LogSubjects, type Stored, type StoredMessage } from './record.ts'
import type { TrimWatermarks } from './trim-watermarks.ts'

export interface SessionSourceOptions {
  readonly publisher: Publisher
  readonly reader: DirectReader
  readonly watermarks: TrimWatermarks
  readonly streams: Streams
}

export interface StoredBatch {
  readonly entries: readonly Stored[]
  /** Everything up to here was read. */
  readonly position: Seq
  /** Entries may be missing because their run was compacted during the read; its rollup comes later. */
  readonly compacted: boolean
}

/** Whether the caller already has an entry, and all earlier ones of its subject. */
export type Has = (seq: Seq, subject: string) => boolean

export interface Between {
  readonly entries: readonly Entry[]
  /** As in `StoredBatch`. */
  readonly compacted: boolean
}

const BATCH_ENTRIES = 512
const BATCH_BYTES = 1024 * 1024
/** Entries of one subject to read one by one, before a range is read. */
const STEPS_MAX = 32
/** Limit for reading a session's tail by subjects. */
const TAIL_BYTES = 2 * 1024 * 1024
/** How many reads in a row may reach a server that lags behind the leader. */
const LAGS_MAX = 100
const LAG_MS = 20
/** After this many lagging reads, the leader's tip is read again. */
const RECHECK_LAGS = 10

/** The stream and the subjects of a session. */
export interface Home {
  readonly partition: number
  readonly stream: string
  readonly subjects: LogSubjects
}

export class SessionSource {
  readonly homes: readonly Home[]
  readonly #options: SessionSourceOptions
  readonly #byPartition: ReadonlyMap<Partition, Home>

  constructor(options: SessionSourceOptions) {
    this.#options = options
    const { partitions } = options.streams
    this.homes = partitions.map((partition, index) => {
      return { partition: index, stream: partition.stream, subjects: new LogSubjects(partition) }
    })
    this.#byPartition = new Map(partitions.map((partition, index) => [partition, this.homes[index] as Home]))
  }

  home(session: string): Home {
    return this.#byPartition.get(this.#options.streams.partitionOf(session)) as Home
  }

  /** The session's last sequence number, from the stream's leader; 0 without entries. @throws StorageError */
  tip(session: string): Promise<Seq> {
    const { subjects } = this.home(session)
    return this.#options.publisher.lastSeq(subjects.stored(session, 'tip'), subjects.storedAll(session))
  }

  /** The last sequence number of a subject, even if its entries were trimmed. @throws StorageError */
  async last(session: string, subject: string): Promise<Seq> {
    const stored = this.home(session).subjects.stored(session, subject)
    const last = await this.#options.publisher.lastSeq(stored, stored)
    return last > 0 ? last : this.trimmedLast(session, subject)
  }

  /** The last sequence number of a subject whose entries were trimmed; 0 if none were. @throws StorageError */
  async trimmedLast(session: string, subject: string): Promise<Seq> {
    return (await this.#options.watermarks.of(session, this.home(session).partition)).lastSeqs.get(subject) ?? 0
  }

  /** How far the session is trimmed, if that is after a position; otherwise 0. @throws StorageError */
  async trimmed(session: string, after: Seq): Promise<Seq> {
    const { watermarks } = this.#options
    const { partition } = this.home(session)
    if (after >= (await watermarks.horizon(partition))) return 0
    const { trimmed } = await watermarks.of(session, partition)
    return trimmed > after ? trimmed : 0
  }

  /**
   * Reads the living entries after a position in order, at least up to the tip.
   * @param has entries for which this returns true may be left out
   * @throws CursorLost when the next entries were trimmed
   * @throws StorageError
   */
  async *replay(session: string, after: Seq, tip: Seq, has: Has = hasNone): AsyncGenerator<StoredBatch> {
    let position = after
    let lags = 0
    let readTail = true
    const chains = new SubjectChains(after, has)
    while (position < tip) {
      const batch = readTail ? await this.#tail(session, position, has) : await this.#range(session, position)
      // Checked after the read: a watermark is written before its purge, so this finds any purge that affected the
      // read.
      if ((await this.trimmed(session, position)) > 0) throw new CursorLost('trimmed')
      if (batch === 'too-large') {
        readTail = false
      } else if (batch !== undefined && batch.position > position && chains.accept(batch.entries)) {
        lags = 0
        position = batch.position
        yield batch
      } else {
        // The server lags behind the leader or behind the previous server, or the next entries were purged.
        if (lags % RECHECK_LAGS === 0 && (await this.tip(session)) <= position) return
        if (++lags > LAGS_MAX) throw new StorageError('unavailable')
        await sleep(LAG_MS)
      }
    }
  }

  /** The living entries between two positions; undefined if they are too large. @throws StorageError, CursorLost */
  async between(session: string, after: Seq, until: Seq, maxBytes: number): Promise<Between | undefined> {
    const entries: Entry[] = []
    let bytes = 0
    let compacted = false
    for await (const batch of this.replay(session, after, until)) {
      compacted ||= batch.compacted
      for (const { entry } of batch.entries) {
        if (entry.seq <= until) {
          entries.push(entry)
          bytes += entry.json.length
        } else if (entry.rollup) compacted = true
      }
      if (bytes > maxBytes) return undefined
    }
    return { entries, compacted }
  }

  /**
   * Reads everything after a position: the last entry of each subject, and its predecessors unless it is a rollup. The
   * cost depends on the session's subjects; that of a range read depends on all interleaved sessions. With 200,000 runs
   * in the log it takes 0.2 ms of nats-server's CPU, a range read 1.5 ms (two entries) to 10 ms (twenty).
   * @returns undefined if a lagging server answered
   */
  async #tail(session: string, after: Seq, has: Has): Promise<StoredBatch | 'too-large' | undefined> {
    const { stream, subjects } = this.home(session)
    const pattern = subjects.storedAll(session)
    const found = await this.#options.reader.lastBySubjectFrom(stream, pattern, after + 1, TAIL_BYTES)
    if (found === undefined) return 'too-large'
    // In case the server ignores the start of the request.
    const lastMessages = found.filter(({ seq }) => seq > after)
    const last = lastMessages.at(-1)
    if (last === undefined) return undefined
    const messages: StoredMessage[] = []
    let bytes = 0
    let compacted = false
    for (const message of lastMessages) {
      const { subject } = subjects.ofStored(message.subject)
      const { prev, rollup } =
        subject === undefined ? { prev: 0, rollup: false } : decodeLine(subject, message.seq, message.data).entry
      const isEnough = (seq: Seq): boolean => seq <= after || (subject !== undefined && has(seq, subject))
      const all =
        rollup || isEnough(prev) ? [message] : await this.#upTo(stream, message, { after, from: prev, isEnough })
      if (all === undefined) return undefined
      compacted ||= all.at(-1) !== message
      messages.push(...all)
      bytes += all.reduce((sum, { data }) => sum + data.length, 0)
      if (bytes > TAIL_BYTES) return 'too-large'
    }
    messages.sort((a, b) => a.seq - b.seq)
    return this.#batch(stream, subjects, messages, last.seq, compacted)
  }

  /**
   * The entries of a subject after a position, up to its last one; undefined if a lagging server answered. It follows
   * `prev` from entry to entry (0.03 ms of nats-server's CPU each). Only if they are many, it reads a range, whose cost
   * includes interleaved entries even for one subject. If the subject was compacted meanwhile, it returns less: the
   * rollup comes later, and replaces the last entry, too.
   */
  async #upTo(
    stream: string,
    last: StoredMessage,
    { after, from, isEnough }: Chain,
  ): Promise<readonly StoredMessage[] | undefined> {
    const newest = [last]
    let at = from
    for (let steps = 0; !isEnough(at) && steps < STEPS_MAX; steps++) {
      const request = { stream, from: at, entries: 1, bytes: BATCH_BYTES }
      const [message] = (await this.#options.reader.range(request)).messages
      if (message === undefined) return undefined
      if (message.seq !== at) return []
      newest.unshift(message)
      const { entry } = decodeLine('', message.seq, message.data)
      at = entry.rollup ? after : entry.prev
    }
    if (isEnough(at)) return newest
    const older = await this.#ofSubject(stream, last.subject, after, at)
    return older?.at(-1)?.seq === at ? [...older, ...newest] : older
  }

  /** The entries of a subject between two positions; only the first of them if it was compacted meanwhile. */
  async #ofSubject(
    stream: string,
    filter: string,
    after: Seq,
    until: Seq,
  ): Promise<readonly StoredMessage[] | undefined> {
    const all: StoredMessage[] = []
    let bytes = 0
    for (let at = after; at < until && bytes <= TAIL_BYTES; ) {
      const request = { stream, filter, from: at + 1, entries: BATCH_ENTRIES, bytes: BATCH_BYTES }
      const { messages } = await this.#options.reader.range(request)
      const found = messages.filter(({ seq }) => seq <= until)
      if (messages.length === 0) return undefined
      if (found.length === 0) return all
      all.push(...found)
      bytes += found.reduce((sum, { data }) => sum + data.length, 0)
      at = (found.at(-1) as StoredMessage).seq
    }
    return all
  }

  async #range(session: string, after: Seq): Promise<StoredBatch | undefined> {
    const { stream, subjects } = this.home(session)
    const request = { stream, filter: subjects.storedAll(session), from: after + 1 }
    const { messages } = await this.#options.reader.range({ ...request, entries: BATCH_ENTRIES, bytes: BATCH_BYTES })
    return this.#batch(stream, subjects, messages, messages.at(-1)?.seq ?? 0, true)
  }

  async #batch(
    stream: string,
    subjects: LogSubjects,
    messages: readonly StoredMessage[],
    position: Seq,
    compacted: boolean,
  ): Promise<StoredBatch | undefined> {
    const entries = await this.#decodeAll(stream, subjects, messages)
    return entries === undefined ? undefined : { entries, position, compacted }
  }

  /** Undefined if a part is missing: it was trimmed meanwhile, or a lagging server answered. */
  async #decodeAll(
    stream: string,
    subjects: LogSubjects,
    messages: readonly StoredMessage[],
  ): Promise<Stored[] | undefined> {
    const decoded: Stored[] = []
    for (const { subject, seq, data } of messages) {
      const names = subjects.ofStored(subject)
      if (names.subject === undefined) continue
      const stored = decodeLine(names.subject, seq, data)
      const joined = stored.parts === undefined ? stored : await this.#join(stream, stored, stored.parts)
      if (joined === undefined) return undefined
      decoded.push(joined)
    }
    return decoded
  }

  async #join(stream: string, stored: Stored, parts: readonly Seq[]): Promise<Stored | undefined> {
    const bodies: Uint8Array[] = []
    for (const seq of parts) {
      const part = await this.#options.reader.message(stream, seq)
      if (part === undefined) return undefined
      bodies.push(part.data)
    }
    return joinParts(stored, bodies)
  }
}

interface Chain {
  readonly after: Seq
  /** The predecessor of the last entry. */
  readonly from: Seq
  /** Whether neither this entry nor its predecessors need to be read. */
  readonly isEnough: (seq: Seq) => boolean
}

function hasNone(): boolean {
  return false
}

/**
 * Checks that the entries read of each subject have no gap. Servers replicate at different speeds: one may have
 * compacted a run and return none of its small entries; the next one has not, and returns only the last of them.
 */
class SubjectChains {
  readonly #after: Seq
  readonly #has: Has
  readonly #lastSeqs = new Map<string, Seq>()

  constructor(after: Seq, has: Has) {
    this.#after = after
    this.#has = has
  }

  /** Accepts a batch if each entry follows an accepted one; otherwise it accepts nothing and returns false. */
  accept(entries: readonly Stored[]): boolean {
    const lastSeqs = new Map<string, Seq>()
    for (const { entry } of entries) {
      const { subject, seq, prev, rollup } = entry
      const last = lastSeqs.get(subject) ?? this.#lastSeqs.get(subject)
      if (!rollup && prev > this.#after && prev !== last && !this.#has(prev, subject)) return false
      lastSeqs.set(subject, seq)
    }
    for (const [subject, seq] of lastSeqs) this.#lastSeqs.set(subject, seq)
    return true
  }
}
