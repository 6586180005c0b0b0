// Purging: permanently removes messages from streams by subject, including queued runs that no node has received.
import type { NatsConnection } from '@nats-io/transport-node'
import type { Seq } from '../../ports/entry.ts'
import { type JetStreamConnection, requestJson } from '../connection.ts'
import { escapeToken } from '../log/record.ts'
import type { SessionSource } from '../log/session-source.ts'
import type { Streams } from '../streams.ts'

export interface PurgeRequest {
  /** Only subjects that match. */
  readonly filter?: string
  /** Only messages before this one. */
  readonly seq?: Seq
}

const ANSWER_MS = 10_000

/** Resolves when the stream's leader has purged the messages. @throws StorageError */
export async function purge(nats: NatsConnection, stream: string, request: PurgeRequest): Promise<void> {
  await requestJson(nats, `$JS.API.STREAM.PURGE.${stream}`, JSON.stringify(request), ANSWER_MS)
}

export interface SessionPurgeOptions {
  readonly connection: Pick<JetStreamConnection, 'nats'>
  readonly source: SessionSource
  readonly streams: Streams
}

/** Purges a session's entries except one, and its watermarks. @throws StorageError */
export async function purgeSession(
  { connection: { nats }, source, streams }: SessionPurgeOptions,
  session: string,
  keep: Seq | undefined,
): Promise<void> {
  const { stream, subjects } = source.home(session)
  const all = subjects.storedAll(session)
  await purge(nats, stream, keep === undefined ? { filter: all } : { filter: all, seq: keep })
  if (keep !== undefined) {
    // Entries after `keep`, appended by nodes that had not seen the end of the session.
    for (const subject of OTHER_SUBJECTS) await purge(nats, stream, { filter: `${all.slice(0, -1)}${subject}` })
  }
  await purge(nats, streams.watermarks, { filter: `${streams.prefix}.mark.session.${escapeToken(session)}.>` })
}

/** All subjects except `meta`; the last one matches parts of large entries. */
const OTHER_SUBJECTS = ['in.>', 'run.>', 'tool.>', '%part.>'] as const
