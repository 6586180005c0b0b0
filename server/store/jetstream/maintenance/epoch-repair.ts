// passTranscripts: after streams were restored or lost their ends, each for itself, a transcript may go beyond what the
// log has of its session. What the log lost counts as trimmed then, by the session's marks, as if the retention had taken
// it; and the numbers up to there are used up with nothing, since an entry that got one of them would count as told.
// It looks at every transcript: no node runs, and there is time.
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { parseCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Seq } from '../../ports/entry.ts'
import { presently } from '../../ports/epoch.ts'
import { DirectReader } from '../log/direct-reader.ts'
import { Publisher } from '../log/publisher.ts'
import { LogSubjects, type StoredMessage, unescapeToken } from '../log/record.ts'
import { TrimWatermarks } from '../log/trim-watermarks.ts'
import type { Partition, Streams } from '../streams.ts'
import { cursorOfHead } from '../transcript-store.ts'

const BATCH_ENTRIES = 256
const BATCH_BYTES = 8 * 1024 * 1024
/** Publishes under way while numbers are used up. */
const FILLERS = 500

/** A session whose transcript goes beyond its log. */
interface Ahead {
  readonly session: string
  readonly partition: Partition
  readonly subjects: LogSubjects
  /** How far the transcript goes. */
  readonly end: Seq
}

interface Tools {
  readonly connection: NatsConnection
  readonly manager: JetStreamManager
  readonly reader: DirectReader
  readonly publisher: Publisher
  readonly marks: TrimWatermarks
  readonly streams: Streams
}

/** @throws StorageError */
export async function passTranscripts(connection: NatsConnection, streams: Streams, logger: Logger): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false })
  const reader = new DirectReader(connection)
  const publisher = new Publisher(connection, logger)
  const marks = new TrimWatermarks({ publisher, reader, prefix: streams.prefix, stream: streams.marks, graceMs: 0 })
  const tools = { connection, manager, reader, publisher, marks, streams }
  try {
    const ahead = await findAhead(tools)
    for (const [index, partition] of streams.partitions.entries()) {
      const own = ahead.filter((one) => one.partition === partition)
      if (own.length === 0) continue
      const end = own.reduce((most, one) => Math.max(most, one.end), 0)
      await useUp(tools, partition, end)
      await marks.raise(index, end)
      for (const one of own) await trim(tools, one)
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
    for await (const heads of all(reader, streams.transcripts, `${streams.prefix}.transcript.*`)) {
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

async function findAhead(tools: Tools): Promise<Ahead[]> {
  const { streams } = tools
  const filter = `${streams.prefix}.transcript.*`
  const ahead: Ahead[] = []
  for await (const heads of all(tools.reader, streams.transcripts, filter)) {
    const found = await Promise.all(heads.map((head) => judge(tools, head)))
    for (const one of found) if (one !== undefined) ahead.push(one)
  }
  return ahead
}

async function judge({ publisher, marks, streams }: Tools, head: StoredMessage): Promise<Ahead | undefined> {
  const session = unescapeToken(head.subject.slice(`${streams.prefix}.transcript.`.length))
  const position = parseCursor(presently(streams.epochs, cursorOfHead(head)))
  if (position?.epoch !== streams.epoch) return undefined
  const partition = streams.partitionOf(session)
  const subjects = new LogSubjects(partition)
  const tip = await publisher.ask(subjects.stored(session, 'tip'), subjects.storedAll(session))
  const end = position.seq
  if (end <= tip || end <= (await marks.look(session)).trimmed) return undefined
  return { session, partition, subjects, end }
}

/** Takes the stream's numbers beyond that one. */
async function useUp({ connection, manager }: Tools, { stream, log }: Partition, end: Seq): Promise<void> {
  const filler = `${log}.filler`
  const { state } = await manager.streams.info(stream)
  // Nothing is there that could go with it.
  if (state.messages === 0 && state.last_seq < end) {
    await manager.streams.purge(stream, { seq: end + 1 })
    if ((await manager.streams.info(stream)).state.last_seq >= end) return
  }
  const client = jetstream(connection)
  for (let left = end - state.last_seq; left > 0; left -= FILLERS) {
    await Promise.all(Array.from({ length: Math.min(left, FILLERS) }, () => client.publish(filler)))
  }
  await manager.streams.purge(stream, { filter: filler })
}

/** What is left of the session's log goes as well: its transcript has it, and a log ends where its session does. */
async function trim(tools: Tools, one: Ahead): Promise<void> {
  const { session, partition, subjects, end } = one
  await tools.marks.write(session, end, await lastsOf(tools, one))
  await tools.manager.streams.purge(partition.stream, { filter: subjects.storedAll(session), seq: end + 1 })
}

/** The last entry of each subject, whose number stays known. */
async function lastsOf({ reader }: Tools, { session, partition, subjects }: Ahead): Promise<Map<string, Seq>> {
  const lasts = new Map<string, Seq>()
  for await (const messages of all(reader, partition.stream, subjects.storedAll(session))) {
    for (const message of messages) {
      const { subject } = subjects.ofStored(message.subject)
      if (subject !== undefined) lasts.set(subject, message.seq)
    }
  }
  return lasts
}

async function* all(reader: DirectReader, stream: string, filter: string): AsyncGenerator<readonly StoredMessage[]> {
  for (let from = 1; ; ) {
    const { messages } = await reader.range({ stream, filter, from, entries: BATCH_ENTRIES, bytes: BATCH_BYTES })
    const last = messages.at(-1)
    if (last === undefined) return
    yield messages
    from = last.seq + 1
  }
}
