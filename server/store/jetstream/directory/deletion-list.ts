// JetStreamDeletionList: the unfinished deletions of sessions, in the stream of the session directory.
//
//   <prefix>.directory.deletion.<stage>.<session>
import type { Deletion, DeletionList, Stage } from '../../ports/deletion-list.ts'
import type { Subscription } from '../../ports/session-log.ts'
import { type JetStreamConnection, requestJson } from '../connection.ts'
import { DirectReader } from '../log/direct-reader.ts'
import { escapeToken, unescapeToken } from '../log/record.ts'
import { purge } from '../maintenance/purge.ts'
import type { Streams } from '../streams.ts'

const LIST_BYTES = 1024 * 1024
const ANSWER_MS = 10_000

export class JetStreamDeletionList implements DeletionList {
  readonly #connection: JetStreamConnection
  readonly #streams: Streams
  readonly #reader: DirectReader
  readonly #states: Subscription

  constructor(connection: JetStreamConnection, streams: Streams) {
    this.#connection = connection
    this.#streams = streams
    this.#reader = new DirectReader(connection.nats)
    this.#states = connection.onState((state) => {
      if (state === 'live') this.#reader.interrupt()
    })
  }

  /** A second `put` replaces the first, because the stream keeps the last message of each subject. */
  async put({ session, at }: Deletion, stage: Stage): Promise<void> {
    const subject = `${this.#prefix(stage)}${escapeToken(session)}`
    await requestJson(this.#connection.nats, subject, String(at), ANSWER_MS)
  }

  async remove({ session }: Deletion, stage: Stage): Promise<void> {
    const filter = `${this.#prefix(stage)}${escapeToken(session)}`
    await purge(this.#connection.nats, this.#streams.directory, { filter })
  }

  async list(stage: Stage, limit: number): Promise<readonly Deletion[]> {
    const prefix = this.#prefix(stage)
    const range = { stream: this.#streams.directory, filter: `${prefix}*`, from: 1, entries: limit, bytes: LIST_BYTES }
    const { messages } = await this.#reader.range(range)
    return messages.map(({ subject, data }) => {
      return { session: unescapeToken(subject.slice(prefix.length)), at: Number(Buffer.from(data).toString()) }
    })
  }

  close(): void {
    this.#reader.close()
    this.#states.close()
  }

  #prefix(stage: Stage): string {
    return `${this.#streams.prefix}.directory.deletion.${stage}.`
  }
}
