// JetStreamDeletionList: the deletions of an installation, in the stream of the session directory.
//
//   <prefix>.directory.deletion.<stage>.<session>
import type { Deletion, DeletionList, Stage } from '../../ports/deletion-list.ts'
import { StorageError } from '../../ports/errors.ts'
import type { Subscription } from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'
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

  /** Who says it again replaces it: the last one of a subject is kept. */
  async put({ session, at }: Deletion, stage: Stage): Promise<void> {
    const subject = `${this.#start(stage)}${escapeToken(session)}`
    try {
      const reply = await this.#connection.nats.request(subject, String(at), { timeout: ANSWER_MS })
      const { error } = reply.json<{ readonly error?: { readonly description: string } }>()
      if (error !== undefined) throw new Error(error.description)
    } catch (error) {
      throw new StorageError('unavailable', error)
    }
  }

  async remove({ session }: Deletion, stage: Stage): Promise<void> {
    const filter = `${this.#start(stage)}${escapeToken(session)}`
    await purge(this.#connection.nats, this.#streams.directory, { filter })
  }

  async list(stage: Stage, limit: number): Promise<readonly Deletion[]> {
    const start = this.#start(stage)
    const range = { stream: this.#streams.directory, filter: `${start}*`, from: 1, entries: limit, bytes: LIST_BYTES }
    const { messages } = await this.#reader.range(range)
    return messages.map(({ subject, data }) => {
      return { session: unescapeToken(subject.slice(start.length)), at: Number(Buffer.from(data).toString()) }
    })
  }

  close(): void {
    this.#reader.close()
    this.#states.close()
  }

  #start(stage: Stage): string {
    return `${this.#streams.prefix}.directory.deletion.${stage}.`
  }
}
