// Purging: what is taken away from a stream by subject, for good. What nobody has read yet of a work queue goes, too.
import type { NatsConnection } from '@nats-io/transport-node'
import type { Seq } from '../../ports/entry.ts'
import { StorageError } from '../../ports/errors.ts'
import type { JetStreamConnection } from '../connection.ts'
import { escapeToken } from '../log/record.ts'
import type { SessionSource } from '../log/session-source.ts'
import type { Streams } from '../streams.ts'

export interface PurgeRequest {
  /** Only these subjects. */
  readonly filter?: string
  /** Only what comes before. */
  readonly seq?: Seq
}

const ANSWER_MS = 10_000

/** Resolves when the stream's leader has done it. @throws StorageError */
export async function purge(nats: NatsConnection, stream: string, request: PurgeRequest): Promise<void> {
  try {
    const reply = await nats.request(`$JS.API.STREAM.PURGE.${stream}`, JSON.stringify(request), { timeout: ANSWER_MS })
    const { error } = reply.json<{ readonly error?: { readonly description: string } }>()
    if (error !== undefined) throw new Error(error.description)
  } catch (error) {
    throw new StorageError('unavailable', error)
  }
}

export interface SessionPurgeOptions {
  readonly connection: Pick<JetStreamConnection, 'nats'>
  readonly source: SessionSource
  readonly streams: Streams
}

/** All of a session in the log, but for one entry, and its marks. @throws StorageError */
export async function purgeSession(
  { connection: { nats }, source, streams }: SessionPurgeOptions,
  session: string,
  keep: Seq | undefined,
): Promise<void> {
  const { stream, subjects } = source.home(session)
  const all = subjects.storedAll(session)
  await purge(nats, stream, keep === undefined ? { filter: all } : { filter: all, seq: keep })
  if (keep !== undefined) {
    // What was appended since, by somebody who had not seen it.
    for (const lane of LANES) await purge(nats, stream, { filter: `${all.slice(0, -1)}${lane}` })
  }
  await purge(nats, streams.marks, { filter: `${streams.prefix}.mark.session.${escapeToken(session)}.>` })
}

/** All but `meta`; the last: parts of large entries. */
const LANES = ['in.>', 'run.>', 'tool.>', '%part.>'] as const
