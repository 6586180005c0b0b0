// The streams: what each is called and how it is configured. They are created when they are absent, and checked when
// they are there; a difference is reported with what to do, and never overwritten: it may be somebody's intention.
import { createHash, randomBytes } from 'node:crypto'
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
import { type Epochs, readPast } from '../ports/epoch.ts'
import { type JetStreamConnection, JetStreamStartError } from './connection.ts'

export interface JetStreamStreamsOptions {
  /** Begins every subject, and, in capitals, every stream's name; default `parley`. */
  readonly prefix?: string
  /** Servers that hold a copy of each message; default 1. */
  readonly replicas?: number
  /** Streams that the sessions are spread over; default 1. Cannot be changed later. */
  readonly partitions?: number
  /** Default `file`. */
  readonly storage?: 'file' | 'memory'
  /** Bytes that all sessions' entries may take in the streams, beyond which appends are refused; default no bound. */
  readonly maxBytes?: number | undefined
  /** Milliseconds without a sign of life after which a run is given to another owner; default 5,000. */
  readonly ackWaitMs?: number
}

/** One stream of sessions. A session lies in one for good: its sequence numbers grow within it. */
export interface Partition {
  readonly stream: string
  /** `<log>.<session>.<subject>` is stored, and republished as `<live>.<session>.<subject>`. */
  readonly log: string
  readonly live: string
}

export interface Streams {
  readonly prefix: string
  /** Of the sessions' streams, each of which got a random one when it was created: names the history of cursors. */
  readonly epoch: string
  readonly epochs: Epochs
  readonly partitions: readonly Partition[]
  /** `<prefix>.transcript.…`: one message a subject. */
  readonly transcripts: string
  /** `<prefix>.run.<session>.<run>`: a work queue. */
  readonly runs: string
  /** The run queue's consumer. */
  readonly owners: string
  readonly ackWaitMs: number
  /** `<prefix>.mark.…`: what is remembered of subjects that were trimmed. */
  readonly marks: string
  /** `<prefix>.directory.…`: the lists of sessions, and of deletions. */
  readonly directory: string
  /** `<prefix>.usage.…`: what was spent. */
  readonly usage: string
  partitionOf(session: string): Partition
}

const FORMAT = '1'
/** Runs in the queue, waiting or owned; more are refused. */
const MAX_RUNS = 1_000_000
/** The consumer of the run queue. */
const OWNERS = 'owners'
const ACK_WAIT_MS = 5_000
/** Pull requests of all nodes at once. */
const MAX_WAITING = 10_000
const API_MS = 5_000
/** More than the longest window of a budget. */
const USAGE_AGE_MS = 32 * 24 * 60 * 60 * 1000
/** Milliseconds for each of them: a stream may be without a leader when a node starts, and its questions without an answer. */
const PATIENCE_MS = 40_000
/** Of a stream, and of a consumer. */
const NOT_FOUND = new Set([10059, 10014])
const NAME_IN_USE = 10058
const RETRY_MS = 100
const RETRY_MAX_MS = 2_000
/** A cluster that has just elected its leader does not know yet who may take a replica. */
const NO_SUITABLE_PEERS = 10005
const UNAVAILABLE = 10008

/**
 * @param orphans what becomes of transcripts whose log is not there any more: beside an empty log of another history
 *   their sessions could not be opened, so a node refuses to start; `keep` is for who sees to them next
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
    marks: `${upper}_MARKS`,
    directory: `${upper}_DIRECTORY`,
    usage: `${upper}_USAGE`,
  }
  if (orphans === 'refuse') await refuseOrphans(manager, partitions, names.transcripts)
  const sessions: StreamConfig[] = []
  for (const partition of partitions) sessions.push(await ensure(manager, sessionsConfig(partition, options)))
  const epoch = together(sessions.map(epochOf))
  await ensure(manager, lastsConfig(names.transcripts, `${prefix}.transcript.>`, options))
  await ensure(manager, runsConfig(names.runs, prefix, options))
  await ensureConsumer(manager, names.runs, ownersConfig(ackWaitMs))
  await ensure(manager, lastsConfig(names.marks, `${prefix}.mark.>`, options))
  await ensure(manager, lastsConfig(names.directory, `${prefix}.directory.>`, options))
  await ensure(manager, { ...lastsConfig(names.usage, `${prefix}.usage.>`, options), max_age: nanos(USAGE_AGE_MS) })
  return {
    prefix,
    epoch,
    epochs: { present: epoch, past: readPast(sessions[0]?.metadata?.parley_past_epochs) },
    partitions,
    ...names,
    owners: OWNERS,
    ackWaitMs,
    partitionOf: (session) => partitions[count === 1 ? 0 : hash(session) % count] as Partition,
  }
}

async function refuseOrphans(
  manager: JetStreamManager,
  partitions: readonly Partition[],
  transcripts: string,
): Promise<void> {
  const kept = await patiently(`stream ${transcripts}`, () => absent(manager.streams.info(transcripts)))
  if (kept === undefined || kept.state.messages === 0) return
  for (const { stream } of partitions) {
    const found = await patiently(`stream ${stream}`, () => absent(manager.streams.info(stream)))
    if (found !== undefined) continue
    throw new JetStreamStartError(
      [
        `stream ${stream} is gone, and ${transcripts} has the transcripts of its sessions.`,
        'Restore it from a backup, or run `parley-server --new-epoch` once: then the sessions go on from their transcripts.',
      ].join(' '),
    )
  }
}

type Config = Partial<StreamConfig> & { readonly name: string }
type OwnersConfig = Partial<ConsumerConfig> & { readonly durable_name: string }
type Metadata = Readonly<Record<string, string | undefined>>

function common({ replicas = 1, storage = 'file' }: JetStreamStreamsOptions): Partial<StreamConfig> {
  return {
    retention: 'limits' satisfies RetentionPolicy,
    storage: storage satisfies StorageType,
    num_replicas: replicas,
    // Full is an error that the appender gets; nothing disappears silently.
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

/** Trimming is ours (the sweep), so there is no `max_age`: JetStream would forget the subjects, too. */
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
    // Duplicates are known by the compare on the subject; ids of messages are not used.
    duplicate_window: nanos(1_000),
    metadata: { parley_partitions: String(partitions) },
  }
}

/** Of each subject the last message is kept. */
function lastsConfig(name: string, subjects: string, options: JetStreamStreamsOptions): Config {
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
    // One a run, by the compare of its offer: a limit would have it replaced.
    max_msgs_per_subject: -1,
    duplicate_window: nanos(1_000),
  }
}

function ownersConfig(ackWaitMs: number): OwnersConfig {
  return {
    durable_name: OWNERS,
    ack_policy: 'explicit',
    deliver_policy: 'all',
    ack_wait: nanos(ackWaitMs),
    // Never dropped, and never held back because many are owned already.
    max_deliver: -1,
    max_ack_pending: -1,
    max_waiting: MAX_WAITING,
  }
}

/** Creates it unless it is there; checks it. @returns its configuration as the server has it */
async function ensure(manager: JetStreamManager, config: Config): Promise<StreamConfig> {
  const metadata = { ...config.metadata, parley_format: FORMAT, parley_epoch: randomEpoch() }
  const wanted = { ...config, metadata }
  return patiently(`stream ${config.name}`, async () => {
    const found = await absent(manager.streams.info(config.name))
    const { config: has } = found ?? (await manager.streams.add(wanted))
    report(`stream ${config.name}`, differencesOf(has, wanted))
    return has
  })
}

async function ensureConsumer(manager: JetStreamManager, stream: string, wanted: OwnersConfig): Promise<void> {
  const name = `consumer ${wanted.durable_name} of stream ${stream}`
  await patiently(name, async () => {
    const found = await absent(manager.consumers.info(stream, wanted.durable_name))
    const { config } = found ?? (await manager.consumers.add(stream, wanted))
    report(name, differencesOf(config, wanted))
  })
}

/** @throws JetStreamStartError */
async function patiently<T>(name: string, open: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE_MS
  for (let pause = RETRY_MS; ; pause = Math.min(pause * 2, RETRY_MAX_MS)) {
    try {
      return await open()
    } catch (error) {
      if (error instanceof JetStreamStartError) throw error
      if (performance.now() > until || !isPassing(error)) {
        const reason = error instanceof Error ? error.message : 'unknown'
        throw new JetStreamStartError(`${name} cannot be opened: ${reason}${hint(error)}`, { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
}

async function absent<T>(info: Promise<T>): Promise<T | undefined> {
  try {
    return await info
  } catch (error) {
    if (error instanceof JetStreamApiError && NOT_FOUND.has(error.code)) return undefined
    throw error
  }
}

/** Another node created it in between, with an epoch of its own; or nobody leads the cluster, or the stream, just now. */
function isPassing(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return [NAME_IN_USE, NO_SUITABLE_PEERS, UNAVAILABLE].includes(error.code)
  const causes = [error, (error as Error).cause]
  return causes.some((one) => one instanceof TimeoutError || one instanceof NoRespondersError) || isOff(error)
}

/** JetStream was there when the connection was checked: it is off only as long as it has no leader. */
function isOff(error: unknown): boolean {
  return error instanceof Error && error.name === 'JetStreamNotEnabled'
}

function hint(error: unknown): string {
  const text = error instanceof Error ? error.message : ''
  if (/permission/i.test(text))
    return '. The NATS user needs to publish and subscribe $JS.API.>, the prefix and _INBOX.>.'
  if (/replicas > 1|suitable peers/i.test(text)) return '. PARLEY_NATS_REPLICAS needs as many servers with JetStream.'
  return ''
}

/** Each field that differs, with what was expected and what was found. */
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

/** @throws JetStreamStartError unless there are none */
function report(name: string, differences: readonly string[]): void {
  if (differences.length === 0) return
  throw new JetStreamStartError(
    [
      `${name} is configured differently: ${differences.join('; ')}.`,
      'Change the settings to what is there, or what is there by `nats stream edit` or `nats consumer edit`;',
      'Parley changes nothing by itself.',
    ].join(' '),
  )
}

function difference(field: string, expected: unknown, found: unknown): string {
  return `${field} should be ${JSON.stringify(expected)}, and is ${JSON.stringify(found) ?? 'absent'}`
}

/** A server leaves out what is zero, false or empty. */
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
  if (epoch === undefined) throw new JetStreamStartError(`stream ${name} has lost its epoch (metadata parley_epoch).`)
  return epoch
}

/** One stream that was made anew is another history. */
function together(epochs: readonly string[]): string {
  const [first = ''] = epochs
  return epochs.length === 1 ? first : createHash('sha256').update(epochs.join()).digest('hex').slice(0, first.length)
}

/** FNV-1a: even enough, the same in every version; a session's partition must never change. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  return value
}
