// SessionSource: what the streams say of one session: its tip by the leader, its entries by Direct Get, its marks. A
// session lives in one stream, chosen by its name, so that its sequence numbers grow.
import type { Seq } from './entry.ts'
import type { Marks } from './jetstream-marks.ts'
import type { Publisher } from './jetstream-publisher.ts'
import { decodeLine, joinParts, LogSubjects, type Stored, type StoredMessage } from './jetstream-record.ts'
import type { DirectReader } from './jetstream-replay.ts'
import type { Partition, Streams } from './jetstream-streams.ts'
import { CursorLost, StorageError } from './log-error.ts'

export interface SessionSourceOptions {
  readonly publisher: Publisher
  readonly reader: DirectReader
  readonly marks: Marks
  readonly streams: Streams
}

export interface StoredBatch {
  readonly entries: readonly Stored[]
  /** Up to here everything was read. */
  readonly position: Seq
}

const BATCH_ENTRIES = 512
const BATCH_BYTES = 1024 * 1024
/** A server that answers a Direct Get may be this often behind the leader in a row. */
const LAGS_MAX = 100
const LAG_MS = 20

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
   * A batch of the entries after a place, which is not empty while the place is before the tip.
   * @throws CursorLost when what came next was trimmed
   * @throws StorageError
   */
  async batch(
    session: string,
    after: Seq,
    tip: Seq,
    entries = BATCH_ENTRIES,
    bytes = BATCH_BYTES,
  ): Promise<StoredBatch> {
    const { reader } = this.#options
    const { stream, subjects } = this.home(session)
    const request = { stream, filter: subjects.storedAll(session), from: after + 1 }
    for (let lags = 0; lags < LAGS_MAX; lags++) {
      const { messages } = await reader.range({ ...request, entries, bytes })
      const read = await this.#decodeAll(stream, subjects, messages)
      // Looked up after the reading: had a purge come before it, its mark had come before the purge.
      if ((await this.trimmed(session, after)) > 0) throw new CursorLost('trimmed')
      const last = messages.at(-1)?.seq ?? 0
      if (last > after && read !== undefined) return { entries: read, position: last }
      if (after >= tip) return { entries: [], position: after }
      // A server that lags behind the leader answered.
      await new Promise((resolve) => setTimeout(resolve, LAG_MS))
    }
    throw new StorageError('unavailable')
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
