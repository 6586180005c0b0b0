// SessionSource: what the streams say of one session: its tip by the leader, its entries by Direct Get, its marks. A
// session lives in one stream, chosen by its name, so that its sequence numbers grow.
import type { Seq } from './entry.ts'
import type { Marks } from './jetstream-marks.ts'
import type { Publisher } from './jetstream-publisher.ts'
import { decodeLine, LogSubjects, type Stored, type StoredMessage } from './jetstream-record.ts'
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
      // Looked up after the reading: had a purge come before it, its mark had come before the purge.
      if ((await this.trimmed(session, after)) > 0) throw new CursorLost('trimmed')
      const last = messages.at(-1)?.seq ?? 0
      if (last > after) return { entries: messages.map((message) => decodeStored(subjects, message)), position: last }
      if (after >= tip) return { entries: [], position: after }
      // A server that lags behind the leader answered.
      await new Promise((resolve) => setTimeout(resolve, LAG_MS))
    }
    throw new StorageError('unavailable')
  }
}

function decodeStored(subjects: LogSubjects, message: StoredMessage): Stored {
  return decodeLine(subjects.ofStored(message.subject).subject, message.seq, message.data)
}
