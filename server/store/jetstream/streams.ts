// The names and configurations of the streams. Missing streams are created. An existing stream with another
// configuration aborts the start with instructions; it is never changed, because the difference may be intended.
import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ConsumerConfig,
  type DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  type RetentionPolicy,
  type StorageType,
  type StreamConfig,
} from '@nats-io/jetstream'
import { NoRespondersError, nanos, TimeoutError } from '@nats-io/transport-node'
import { type Epochs, parsePastEpochs } from '../ports/epoch.ts'
import { type JetStreamConnection, JetStreamStartError } from './connection.ts'

export interface JetStreamStreamsOptions {
  /** Prefix of every subject, and, in capitals, of every stream's name; default `parley`. */
  readonly prefix?: string
  /** Servers that store a copy of each message; default 1. */
  readonly replicas?: number
  /** Streams among which the sessions are distributed; default 1. It cannot be changed later. */
  readonly partitions?: number
  /** Default `file`. */
  readonly storage?: 'file' | 'memory'
  /** Bytes of all sessions' entries, beyond which appends are rejected; default unlimited. */
  readonly maxBytes?: number | undefined
  /** Milliseconds without a heartbeat after which a run gets another driver; default 5,000. */
  readonly ackWaitMs?: number
}

/** One of the session streams. A session never moves to another one: its sequence numbers always grow. */
export interface Partition {
  readonly stream: string
  /** The stream stores `<log>.<session>.<subject>`, and republishes it as `<live>.<session>.<subject>`. */
  readonly log: string
  readonly live: string
}

export interface Streams {
  readonly prefix: string
  /** Names the log's history in cursors. Derived from the random epoch that each session stream got at its creation. */
  readonly epoch: string
  readonly epochs: Epochs
  readonly partitions: readonly Partition[]
  /** `<prefix>.transcript.…`: one message per subject. */
  readonly transcripts: string
  /** `<prefix>.run.<session>.<run>`: the run queue. */
  readonly runs: string
  /** The run queue's consumer. */
  readonly runConsumer: string
  readonly ackWaitMs: number
  /** `<prefix>.mark.…`: the trim watermarks. */
  readonly watermarks: string
  /** `<prefix>.directory.…`: the session directory and the deletion list. */
  readonly directory: string
  /** `<prefix>.usage.…`: the usage ledger. */
  readonly usage: string
  partitionOf(session: string): Partition
}

const FORMAT = '1'
/** Limit of queued and driven runs; further offers are rejected. */
const MAX_RUNS = 1_000_000
/** Stored in NATS, so the name never changes. */
const RUN_CONSUMER = 'owners'
const ACK_WAIT_MS = 5_000
/** Concurrent pull requests of all nodes. */
const MAX_WAITING = 10_000
const API_MS = 5_000
/** Longer than the longest budget window. */
const USAGE_AGE_MS = 32 * 24 * 60 * 60 * 1000
/** Time for opening each stream: when a node starts, a stream may not have a leader that answers. */
const OPEN_TIMEOUT_MS = 40_000
/** JetStream's error codes for a missing stream and a missing consumer. */
const NOT_FOUND = new Set([10059, 10014])
const NAME_IN_USE = 10058
const RETRY_MS = 100
const RETRY_MAX_MS = 2_000
/** A cluster that has just elected its leader does not yet know which servers can store a replica. */
const NO_SUITABLE_PEERS = 10005
const UNAVAILABLE = 10008

/**
 * @param orphans how to handle transcripts whose log is gone. With a new, empty log their sessions could not be opened,
 *   so `refuse` aborts the start. `keep` is for a caller that repairs them next.
 * @throws JetStreamStartError
 */
export async function openStreams(
  connection: JetStreamConnection,
  options: JetStreamStreamsOptions = {},
  orphans: 'refuse' | 'keep' = 'refuse',
): Promise<Streams> {
  const { prefix = 'parley', partitions: count = 1, ackWaitMs = ACK_WAIT_MS } = options
  const manager = await jetstreamManager(connection.nats, { checkAPI: false, timeout: API_MS })
  const upper = prefix.toUpperCase()
  const partitions = Array.from({ length: count }, (_, i): Partition => {
    if (count === 1) return { stream: `${upper}_SESSIONS`, log: `${prefix}.log`, live: `${prefix}.live` }
    return { stream: `${upper}_SESSIONS_${i}`, log: `${prefix}.log.p${i}`, live: `${prefix}.live.p${i}` }
  })
  const names = {
    transcripts: `${upper}_TRANSCRIPTS`,
    runs: `${upper}_RUNS`,
    watermarks: `${upper}_MARKS`,
    directory: `${upper}_DIRECTORY`,
    usage: `${upper}_USAGE`,
  }
  if (orphans === 'refuse') await refuseOrphans(manager, partitions, names.transcripts)
  const sessions: StreamConfig[] = []
  for (const partition of partitions) sessions.push(await ensureStream(manager, sessionsConfig(partition, options)))
  const epoch = combinedEpoch(sessions.map(epochOf))
  await ensureStream(manager, kvConfig(names.transcripts, `${prefix}.transcript.>`, options))
  await ensureStream(manager, runsConfig(names.runs, prefix, options))
  await ensureConsumer(manager, names.runs, runConsumerConfig(ackWaitMs))
  await ensureStream(manager, kvConfig(names.watermarks, `${prefix}.mark.>`, options))
  await ensureStream(manager, kvConfig(names.directory, `${prefix}.directory.>`, options))
  await ensureStream(manager, {
    ...kvConfig(names.usage, `${prefix}.usage.>`, options),
    max_age: nanos(USAGE_AGE_MS),
  })
  return {
    prefix,
    epoch,
    epochs: { current: epoch, past: parsePastEpochs(sessions[0]?.metadata?.parley_past_epochs) },
    partitions,
    ...names,
    runConsumer: RUN_CONSUMER,
    ackWaitMs,
    partitionOf: (session) => partitions[partitionIndex(session, count)] as Partition,
  }
}

async function refuseOrphans(
  manager: JetStreamManager,
  partitions: readonly Partition[],
  transcripts: string,
): Promise<void> {
  const kept = await withRetries(`stream ${transcripts}`, () => undefinedIfMissing(manager.streams.info(transcripts)))
  if (kept === undefined || kept.state.messages === 0) return
  for (const { stream } of partitions) {
    const found = await withRetries(`stream ${stream}`, () => undefinedIfMissing(manager.streams.info(stream)))
    if (found !== undefined) continue
    throw new JetStreamStartError(
      [
        `stream ${stream} is gone, but ${transcripts} still has the transcripts of its sessions.`,
        'Restore it from a backup, or run `parley-server --new-epoch` once to continue from the transcripts.',
      ].join(' '),
    )
  }
}

type Config = Partial<StreamConfig> & { readonly name: string }
type RunConsumerConfig = Partial<ConsumerConfig> & { readonly durable_name: string }
type Metadata = Readonly<Record<string, string | undefined>>

function common({ replicas = 1, storage = 'file' }: JetStreamStreamsOptions): Partial<StreamConfig> {
  return {
    retention: 'limits' satisfies RetentionPolicy,
    storage: storage satisfies StorageType,
    num_replicas: replicas,
    // A full stream rejects appends; it never drops messages silently.
    discard: 'new' satisfies DiscardPolicy,
    max_age: 0,
    max_msgs: -1,
    max_bytes: -1,
    max_msg_size: -1,
    allow_direct: true,
    deny_delete: false,
    deny_purge: false,
  }
}

/** The sweeper trims entries. `max_age` is not used, because JetStream would also forget the subjects. */
function sessionsConfig(partition: Partition, options: JetStreamStreamsOptions): Config {
  const { maxBytes, partitions = 1 } = options
  return {
    ...common(options),
    name: partition.stream,
    subjects: [`${partition.log}.>`],
    max_bytes: maxBytes === undefined ? -1 : Math.ceil(maxBytes / partitions),
    max_msgs_per_subject: -1,
    allow_rollup_hdrs: true,
    republish: { src: `${partition.log}.>`, dest: `${partition.live}.>` },
    // The compare on the subject detects duplicates; message ids are not used.
    duplicate_window: nanos(1_000),
    metadata: { parley_partitions: String(partitions) },
  }
}

/** A key-value stream: it keeps the last message of each subject. */
function kvConfig(name: string, subjects: string, options: JetStreamStreamsOptions): Config {
  return {
    ...common(options),
    name,
    subjects: [subjects],
    max_msgs_per_subject: 1,
    duplicate_window: nanos(1_000),
  }
}

function runsConfig(name: string, prefix: string, options: JetStreamStreamsOptions): Config {
  return {
    ...common(options),
    name,
    subjects: [`${prefix}.run.>`],
    retention: 'workqueue' satisfies RetentionPolicy,
    max_msgs: MAX_RUNS,
    // The compare of the offer allows one message per run. A limit of one would replace the message instead.
    max_msgs_per_subject: -1,
    duplicate_window: nanos(1_000),
  }
}

function runConsumerConfig(ackWaitMs: number): RunConsumerConfig {
  return {
    durable_name: RUN_CONSUMER,
    ack_policy: 'explicit',
    deliver_policy: 'all',
    ack_wait: nanos(ackWaitMs),
    // Runs are never dropped, and never delayed because many are being driven.
    max_deliver: -1,
    max_ack_pending: -1,
    max_waiting: MAX_WAITING,
  }
}

/** Creates the stream if it is missing, and checks its configuration. @returns the server's configuration of it */
async function ensureStream(manager: JetStreamManager, config: Config): Promise<StreamConfig> {
  const metadata = { ...config.metadata, parley_format: FORMAT, parley_epoch: randomEpoch() }
  const wanted = { ...config, metadata }
  return withRetries(`stream ${config.name}`, async () => {
    const found = await undefinedIfMissing(manager.streams.info(config.name))
    const { config: has } = found ?? (await manager.streams.add(wanted))
    rejectDifferences(`stream ${config.name}`, differencesOf(has, wanted))
    return has
  })
}

async function ensureConsumer(manager: JetStreamManager, stream: string, wanted: RunConsumerConfig): Promise<void> {
  const name = `consumer ${wanted.durable_name} of stream ${stream}`
  await withRetries(name, async () => {
    const found = await undefinedIfMissing(manager.consumers.info(stream, wanted.durable_name))
    const { config } = found ?? (await manager.consumers.add(stream, wanted))
    rejectDifferences(name, differencesOf(config, wanted))
  })
}

/** @throws JetStreamStartError */
async function withRetries<T>(name: string, open: () => Promise<T>): Promise<T> {
  const until = performance.now() + OPEN_TIMEOUT_MS
  for (let delayMs = RETRY_MS; ; delayMs = Math.min(delayMs * 2, RETRY_MAX_MS)) {
    try {
      return await open()
    } catch (error) {
      if (error instanceof JetStreamStartError) throw error
      if (performance.now() > until || !isTemporary(error)) {
        const reason = error instanceof Error ? error.message : 'unknown'
        throw new JetStreamStartError(`cannot open ${name}: ${reason}${hint(error)}`, { cause: error })
      }
      await sleep(delayMs)
    }
  }
}

async function undefinedIfMissing<T>(info: Promise<T>): Promise<T | undefined> {
  try {
    return await info
  } catch (error) {
    if (error instanceof JetStreamApiError && NOT_FOUND.has(error.code)) return undefined
    throw error
  }
}

/** Another node just created the stream, or the cluster or the stream has no leader at the moment. */
function isTemporary(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return [NAME_IN_USE, NO_SUITABLE_PEERS, UNAVAILABLE].includes(error.code)
  const causes = [error, (error as Error).cause]
  return (
    causes.some((cause) => cause instanceof TimeoutError || cause instanceof NoRespondersError) || isDisabled(error)
  )
}

/** The connection check found JetStream, so it is disabled only while it has no leader. */
function isDisabled(error: unknown): boolean {
  return error instanceof Error && error.name === 'JetStreamNotEnabled'
}

function hint(error: unknown): string {
  const text = error instanceof Error ? error.message : ''
  if (/permission/i.test(text))
    return '. Allow the NATS user to publish and subscribe to $JS.API.>, the prefix and _INBOX.>.'
  if (/replicas > 1|suitable peers/i.test(text))
    return '. PARLEY_NATS_REPLICAS requires as many servers with JetStream.'
  return ''
}

/** A text for each field that differs. */
function differencesOf(found: object, wanted: object): string[] {
  return Object.entries(wanted).flatMap(([field, value]) => {
    const other = (found as Record<string, unknown>)[field]
    if (field === 'metadata') return metadataDifferences(value as Metadata, other as Metadata | undefined)
    return isSame(value, other) ? [] : [difference(field, value, other)]
  })
}

function metadataDifferences(wanted: Metadata, found: Metadata = {}): string[] {
  const { parley_epoch: _, ...fixed } = wanted
  return Object.entries(fixed).flatMap(([key, value]) => {
    return found[key] === value ? [] : [difference(`metadata.${key}`, value, found[key])]
  })
}

/** @throws JetStreamStartError if there are differences */
function rejectDifferences(name: string, differences: readonly string[]): void {
  if (differences.length === 0) return
  throw new JetStreamStartError(
    [
      `${name} is configured differently: ${differences.join('; ')}.`,
      'Adapt the settings, or change the configuration in NATS with `nats stream edit` or `nats consumer edit`.',
      'Parley never changes it.',
    ].join(' '),
  )
}

function difference(field: string, expected: unknown, found: unknown): string {
  return `${field} should be ${JSON.stringify(expected)}, and is ${JSON.stringify(found) ?? 'absent'}`
}

/** A server omits fields that are zero, false or empty. */
function isSame(wanted: unknown, found: unknown): boolean {
  if (typeof wanted === 'object' && wanted !== null) {
    return Object.entries(wanted).every(([key, value]) => isSame(value, (found as Record<string, unknown>)?.[key]))
  }
  return wanted === found || ((wanted === 0 || wanted === false) && found === undefined)
}

export function randomEpoch(): string {
  return randomBytes(6).toString('hex')
}

function epochOf({ name, metadata }: StreamConfig): string {
  const epoch = metadata?.parley_epoch
  if (epoch === undefined)
    throw new JetStreamStartError(`stream ${name} has no epoch (metadata parley_epoch): restore it from a backup.`)
  return epoch
}

/** The epoch of all streams: if one of them is recreated, the log has another history. */
function combinedEpoch(epochs: readonly string[]): string {
  const [first = ''] = epochs
  return epochs.length === 1 ? first : createHash('sha256').update(epochs.join()).digest('hex').slice(0, first.length)
}

/** @param count of partitions */
export function partitionIndex(session: string, count: number): number {
  return count === 1 ? 0 : hash(session) % count
}

/** FNV-1a. It must stay the same in every version, because a session's partition must never change. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  return value
}
