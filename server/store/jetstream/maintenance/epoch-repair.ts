// repairLostEntries: repairs a log whose streams were restored or lost their ends independently, so that transcripts
// cover entries that the log lost. The watermarks then mark the lost entries as trimmed, as if retention had removed
// them. Their sequence numbers are skipped, because readers would take a new entry with such a number for one they have
// seen. It reads every transcript, while no node is running.
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { parseCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Seq } from '../../ports/entry.ts'
import { withCurrentEpoch } from '../../ports/epoch.ts'
import { DirectReader } from '../log/direct-reader.ts'
import { Publisher } from '../log/publisher.ts'
import { LogSubjects, type StoredMessage, unescapeToken } from '../log/record.ts'
import { TrimWatermarks } from '../log/trim-watermarks.ts'
import type { Partition, Streams } from '../streams.ts'
import { cursorOfHead } from '../transcript-store.ts'

const BATCH_ENTRIES = 256
const BATCH_BYTES = 8 * 1024 * 1024
/** Concurrent publishes while numbers are skipped. */
const FILLERS = 500

/** A session whose transcript covers more than the log has. */
interface SessionAhead {
  readonly session: string
  readonly partition: Partition
  readonly subjects: LogSubjects
  /** The last entry that the transcript covers. */
  readonly end: Seq
}

interface Context {
  readonly connection: NatsConnection
  readonly manager: JetStreamManager
  readonly reader: DirectReader
  readonly publisher: Publisher
  readonly watermarks: TrimWatermarks
  readonly streams: Streams
}

/** @throws StorageError */
export async function repairLostEntries(connection: NatsConnection, streams: Streams, logger: Logger): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const reader = new DirectReader(connection)
  const publisher = new Publisher(connection, logger)
  const { prefix, watermarks: stream } = streams
  const watermarks = new TrimWatermarks({ publisher, reader, prefix, stream, graceMs: 0 })
  const context = { connection, manager, reader, publisher, watermarks, streams }
  try {
    const ahead = await findAhead(context)
    for (const [index, partition] of streams.partitions.entries()) {
      const sessions = ahead.filter((session) => session.partition === partition)
      if (sessions.length === 0) continue
      const end = sessions.reduce((max, session) => Math.max(max, session.end), 0)
      await skipNumbers(context, partition, end)
      await watermarks.raise(index, end)
      for (const session of sessions) await trim(context, session)
    }
  } finally {
    await publisher.close()
    reader.close()
  }
}

/** Every epoch that a transcript names. @throws StorageError */
export async function epochsOfTranscripts(connection: NatsConnection, streams: Streams): Promise<Set<string>> {
  const reader = new DirectReader(connection)
  const epochs = new Set<string>()
  try {
    for await (const heads of scan(reader, streams.transcripts, `${streams.prefix}.transcript.*`)) {
      for (const head of heads) {
        const position = parseCursor(cursorOfHead(head))
        if (position !== undefined) epochs.add(position.epoch)
      }
    }
  } finally {
    reader.close()
  }
  return epochs
}

async function findAhead(context: Context): Promise<SessionAhead[]> {
  const { streams } = context
  const filter = `${streams.prefix}.transcript.*`
  const ahead: SessionAhead[] = []
  for await (const heads of scan(context.reader, streams.transcripts, filter)) {
    const found = await Promise.all(heads.map((head) => compareWithLog(context, head)))
    for (const session of found) if (session !== undefined) ahead.push(session)
  }
  return ahead
}

async function compareWithLog(context: Context, head: StoredMessage): Promise<SessionAhead | undefined> {
  const { publisher, watermarks, streams } = context
  const session = unescapeToken(head.subject.slice(`${streams.prefix}.transcript.`.length))
  const position = parseCursor(withCurrentEpoch(streams.epochs, cursorOfHead(head)))
  if (position?.epoch !== streams.epoch) return undefined
  const partition = streams.partitionOf(session)
  const subjects = new LogSubjects(partition)
  const tip = await publisher.lastSeq(subjects.stored(session, 'tip'), subjects.storedAll(session))
  const end = position.seq
  if (end <= tip || end <= (await watermarks.lookUp(session)).trimmed) return undefined
  return { session, partition, subjects, end }
}

/** Skips the stream's sequence numbers up to `end`. */
async function skipNumbers({ connection, manager }: Context, { stream, log }: Partition, end: Seq): Promise<void> {
  const filler = `${log}.filler`
  const { state } = await manager.streams.info(stream)
  // A purge skips the numbers, but it would remove existing messages.
  if (state.messages === 0 && state.last_seq < end) {
    await manager.streams.purge(stream, { seq: end + 1 })
    if ((await manager.streams.info(stream)).state.last_seq >= end) return
  }
  const client = jetstream(connection)
  for (let remaining = end - state.last_seq; remaining > 0; remaining -= FILLERS) {
    await Promise.all(Array.from({ length: Math.min(remaining, FILLERS) }, () => client.publish(filler)))
  }
  await manager.streams.purge(stream, { filter: filler })
}

/** Marks the session as trimmed up to the end of its transcript, and purges its covered entries. */
async function trim(context: Context, ahead: SessionAhead): Promise<void> {
  const { session, partition, subjects, end } = ahead
  await context.watermarks.write(session, end, await lastSeqsOf(context, ahead))
  await context.manager.streams.purge(partition.stream, { filter: subjects.storedAll(session), seq: end + 1 })
}

/** The last sequence number of each subject, for the watermark. */
async function lastSeqsOf({ reader }: Context, ahead: SessionAhead): Promise<Map<string, Seq>> {
  const { session, partition, subjects } = ahead
  const lastSeqs = new Map<string, Seq>()
  for await (const messages of scan(reader, partition.stream, subjects.storedAll(session))) {
    for (const message of messages) {
      const { subject } = subjects.ofStored(message.subject)
      if (subject !== undefined) lastSeqs.set(subject, message.seq)
    }
  }
  return lastSeqs
}

async function* scan(reader: DirectReader, stream: string, filter: string): AsyncGenerator<readonly StoredMessage[]> {
  for (let from = 1; ; ) {
    const { messages } = await reader.range({ stream, filter, from, entries: BATCH_ENTRIES, bytes: BATCH_BYTES })
    const last = messages.at(-1)
    if (last === undefined) return
    yield messages
    from = last.seq + 1
  }
}
