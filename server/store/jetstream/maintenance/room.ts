// checkRoom: whether JetStream has room for new entries. A stored message finds the limits of the account and of the
// server; the limit of the session streams is compared, because a message in another stream does not find it.
import { StorageError } from '../../ports/errors.ts'
import { type JetStreamConnection, requestJson } from '../connection.ts'
import type { Publisher } from '../log/publisher.ts'
import type { Streams } from '../streams.ts'

export interface RoomOptions {
  readonly connection: Pick<JetStreamConnection, 'nats'>
  readonly publisher: Publisher
  readonly streams: Streams
}

interface StreamInfo {
  readonly config?: { readonly max_bytes?: number }
  readonly state?: { readonly bytes: number }
}

const ANSWER_MS = 3_000
/** Less than one entry needs, with its subject and its headers. */
const ENTRY_BYTES = 512

/** @throws StorageError `full`. An outage is no lack of room: it passes. */
export async function checkRoom({ connection, publisher, streams }: RoomOptions): Promise<void> {
  try {
    await storeProbe(publisher, `${streams.prefix}.mark.probe`)
    const names = streams.partitions.map(({ stream }) => `$JS.API.STREAM.INFO.${stream}`)
    const infos = await Promise.all(names.map((name) => requestJson<StreamInfo>(connection.nats, name, '', ANSWER_MS)))
    if (infos.every(isFull)) throw new StorageError('full')
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    if (error.reason === 'full') throw error
  }
}

/** Replaces the last probe of any node. A conflict means that another node has just stored one. */
async function storeProbe(publisher: Publisher, subject: string): Promise<void> {
  const last = await publisher.lastSeq(subject, subject)
  await publisher.publish({ subject, payload: '', expect: last })
}

function isFull({ config, state }: StreamInfo): boolean {
  const { max_bytes = -1 } = config ?? {}
  return max_bytes >= 0 && (state?.bytes ?? 0) + ENTRY_BYTES > max_bytes
}
