// SessionSource: what the streams say of one session: its tip by the leader, its entries by Direct Get, its marks. A
// session lives in one stream, chosen by its name, so that its sequence numbers grow.
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
  readonly marks: TrimWatermarks
  readonly streams: Streams
}

export interface StoredBatch {
  readonly entries: readonly Stored[]
  /** Up to here everything was read. */
  readonly position: Seq
  /** Entries of a run may be missing, because it was rolled up meanwhile: what stands for them comes later. */
  readonly rolledUp: boolean
}

/** Whether an entry is at hand already. */
export type Has = (seq: Seq, subject: string) => boolean

export interface Between {
  readonly entries: readonly Entry[]
  /** As of a batch. */
  readonly rolledUp: boolean
}

const BATCH_ENTRIES = 512
const BATCH_BYTES = 1024 * 1024
/** Entries of one subject that are read one by one. */
const STEPS_MAX = 32
/** What is read at once of a session's tail. */
const TAIL_BYTES = 2 * 1024 * 1024
/** A server that answers a Direct Get may be this often behind the leader in a row. */
const LAGS_MAX = 100
const LAG_MS = 20
/** After how many of those the leader is asked anew. */
const ASK_LAGS = 10

/** Where a session lies. */
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

  /** The session's last sequence number in its stream, as the leader knows it; 0 when nothing is there. @throws StorageError */
  tip(session: string): Promise<Seq> {
    const { subjects } = this.home(session)
    return this.#options.publisher.ask(subjects.stored(session, 'tip'), subjects.storedAll(session))
  }

  /** The last sequence number on a subject, trimmed or not. @throws StorageError */
  async last(session: string, subject: string): Promise<Seq> {
    const stored = this.home(session).subjects.stored(session, subject)
    const last = await this.#options.publisher.ask(stored, stored)
    return last > 0 ? last : this.markedLast(session, subject)
  }

  async markedLast(session: string, subject: string): Promise<Seq> {
    return (await this.#options.marks.of(session, this.home(session).partition)).lasts.get(subject) ?? 0
  }

  /** How far the session is trimmed; 0 when it is not, or only before a place that is asked about. @throws StorageError */
  async trimmed(session: string, after: Seq): Promise<Seq> {
    const { marks } = this.#options
    const { partition } = this.home(session)
    if (after >= (await marks.horizon(partition))) return 0
    const { trimmed } = await marks.of(session, partition)
    return trimmed > after ? trimmed : 0
  }

  /**
   * The living entries after a place, up to the tip or later, in order, in batches; nothing when the place is the tip.
   * @param has says of an entry that the asker has it, and all before it on its subject: these need not be among them
   * @throws CursorLost when what came next was trimmed
   * @throws StorageError
   */
  async *replay(session: string, after: Seq, tip: Seq, has: Has = hasNone): AsyncGenerator<StoredBatch> {
    let position = after
    let lags = 0
    let short = true
    const chains = new Chains(after, has)
    while (position < tip) {
      const batch = short ? await this.#tail(session, position, has) : await this.#range(session, position)
      // Looked up after the reading: had a purge come before it, its mark had come before the purge.
      if ((await this.trimmed(session, position)) > 0) throw new CursorLost('trimmed')
      if (batch === 'long') {
        short = false
      } else if (batch !== undefined && batch.position > position && chains.take(batch.entries)) {
        lags = 0
        position = batch.position
        yield batch
      } else {
        // A server that lags behind the leader answered, or behind one that answered before; or what came next was purged.
        if (lags % ASK_LAGS === 0 && (await this.tip(session)) <= position) return
        if (++lags > LAGS_MAX) throw new StorageError('unavailable')
        await new Promise((resolve) => setTimeout(resolve, LAG_MS))
      }
    }
  }

  /** The living entries after a place, up to another; undefined when they are too large. @throws StorageError, CursorLost */
  async between(session: string, after: Seq, until: Seq, maxBytes: number): Promise<Between | undefined> {
    const entries: Entry[] = []
    let bytes = 0
    let rolledUp = false
    for await (const batch of this.replay(session, after, until)) {
      rolledUp ||= batch.rolledUp
      for (const { entry } of batch.entries) {
        if (entry.seq <= until) {
          entries.push(entry)
          bytes += entry.json.length
        } else if (entry.rollup) rolledUp = true
      }
      if (bytes > maxBytes) return undefined
    }
    return { entries, rolledUp }
  }

  /**
   * All after a place, by the last entry of each subject, and what stands before it on a subject that was not rolled
   * up. Costs by the session's subjects, where a read of a range costs by all that is interleaved with it: 0.2 ms of
   * nats-server's CPU against 1.5 (two entries) and 10 (twenty), with 200,000 runs in the log. `long`: it is too much.
   */
  async #tail(session: string, after: Seq, has: Has): Promise<StoredBatch | 'long' | undefined> {
    const { stream, subjects } = this.home(session)
    const found = await this.#options.reader.lastsFrom(stream, subjects.storedAll(session), after + 1, TAIL_BYTES)
    if (found === undefined) return 'long'
    // Should a server not heed where they are to begin.
    const lasts = found.filter(({ seq }) => seq > after)
    const last = lasts.at(-1)
    if (last === undefined) return undefined
    const messages: StoredMessage[] = []
    let bytes = 0
    let rolledUp = false
    for (const message of lasts) {
      const lane = subjects.ofStored(message.subject).subject
      const { prev, rollup } =
        lane === undefined ? { prev: 0, rollup: false } : decodeLine(lane, message.seq, message.data).entry
      const isEnough = (seq: Seq): boolean => seq <= after || (lane !== undefined && has(seq, lane))
      const all =
        rollup || isEnough(prev) ? [message] : await this.#upTo(stream, message, { after, from: prev, isEnough })
      if (all === undefined) return undefined
      rolledUp ||= all.at(-1) !== message
      messages.push(...all)
      bytes += all.reduce((sum, { data }) => sum + data.length, 0)
      if (bytes > TAIL_BYTES) return 'long'
    }
    messages.sort((a, b) => a.seq - b.seq)
    return this.#batch(stream, subjects, messages, last.seq, rolledUp)
  }

  /**
   * What is on a subject after a place, up to its last entry; undefined when a server answered that lags. Goes back from
   * entry to entry (0.03 ms of nats-server's CPU each), and reads a range only when they are many: that costs by what
   * is interleaved, also for a single subject. When it was rolled up meanwhile, what replaced it comes after all this,
   * and stands for the last one, too.
   */
  async #upTo(
    stream: string,
    last: StoredMessage,
    { after, from, isEnough }: Way,
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

  /** What is on a subject after a place, up to another; its beginning when it was rolled up meanwhile. */
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
    rolledUp: boolean,
  ): Promise<StoredBatch | undefined> {
    const entries = await this.#decodeAll(stream, subjects, messages)
    return entries === undefined ? undefined : { entries, position, rolledUp }
  }

  /** Undefined when a part is missing: it was trimmed since, or a server that lags answered. */
  async #decodeAll(
    stream: string,
    subjects: LogSubjects,
    messages: readonly StoredMessage[],
  ): Promise<Stored[] | undefined> {
    const all: Stored[] = []
    for (const { subject, seq, data } of messages) {
      const lane = subjects.ofStored(subject).subject
      if (lane === undefined) continue
      const stored = decodeLine(lane, seq, data)
      const whole = stored.parts === undefined ? stored : await this.#join(stream, stored, stored.parts)
      if (whole === undefined) return undefined
      all.push(whole)
    }
    return all
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

interface Way {
  readonly after: Seq
  /** The entry before the last one. */
  readonly from: Seq
  /** An entry that need not be read, nor those before it. */
  readonly isEnough: (seq: Seq) => boolean
}

function hasNone(): boolean {
  return false
}

/**
 * What was read of each subject. Servers may answer that are not equally far: one has rolled a run up, and gives none of
 * its small entries; the next has not, and gives the last of them, without those before it.
 */
class Chains {
  readonly #after: Seq
  readonly #has: Has
  readonly #lasts = new Map<string, Seq>()

  constructor(after: Seq, has: Has) {
    this.#after = after
    this.#has = has
  }

  /** Takes entries that follow on what was taken; takes none and returns false when one of them does not. */
  take(entries: readonly Stored[]): boolean {
    const lasts = new Map<string, Seq>()
    for (const { entry } of entries) {
      const { subject, seq, prev, rollup } = entry
      const last = lasts.get(subject) ?? this.#lasts.get(subject)
      if (!rollup && prev > this.#after && prev !== last && !this.#has(prev, subject)) return false
      lasts.set(subject, seq)
    }
    for (const [subject, seq] of lasts) this.#lasts.set(subject, seq)
    return true
  }
}
