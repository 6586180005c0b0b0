// openStores: the stores that a node's configuration wants, embedded or on NATS, and what is done to them while no server runs. The
// only file that names concrete stores.
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Config, ConfigError } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { JetStreamStartError, withoutSecrets } from '../store/jetstream/connection.ts'
import { renewStreamsEpoch } from '../store/jetstream/maintenance/epoch.ts'
import { openJetStreamStores } from '../store/jetstream/stores.ts'
import { backUp } from '../store/lmdb/backup.ts'
import { renewEpoch } from '../store/lmdb/epoch.ts'
import { openLmdbStores } from '../store/lmdb/stores.ts'
import type { AppendYield } from '../store/ports/append-yield.ts'
import type { DeletionList } from '../store/ports/deletion-list.ts'
import type { Renewal } from '../store/ports/epoch.ts'
import type { PresenceNews } from '../store/ports/presence-news.ts'
import type { RunQueue } from '../store/ports/run-queue.ts'
import type { ScatterGather } from '../store/ports/scatter-gather.ts'
import type { SessionDirectory } from '../store/ports/session-directory.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { TranscriptStore } from '../store/ports/transcript-store.ts'
import type { LimitsStores } from './open-limits.ts'

/** Something of the machine stands in the way; the message says what to do. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** The stores of either kind, and what else of them concerns a node. */
export interface Stores extends LimitsStores {
  readonly log: SessionLog
  readonly transcripts: TranscriptStore
  readonly runs: RunQueue
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
  readonly appendYield?: AppendYield
  readonly scatterGather?: ScatterGather
  readonly presenceNews?: PresenceNews
  /** Where they are, for people. */
  readonly place: string
  /** Milliseconds for which nothing can be stored; 0 when all is well. */
  awayMs(): number
  /** Calls back when the log is away, and when it is back. */
  onAway(listener: (away: boolean) => void): void
  /** Resolves when nothing can be stored any more before a new start. */
  readonly broken?: Promise<Error>
  close(): Promise<void>
}

/** Sessions with entries past their time that no transcript covers. */
type Uncovered = (sessions: ReadonlySet<string>) => void

/** @throws StartError */
export function openStores(config: Config, logger: Logger, uncovered: Uncovered): Promise<Stores> {
  return config.natsUrl === undefined ? openEmbedded(config, logger, uncovered) : openNats(config, logger, uncovered)
}

async function openEmbedded(config: Config, logger: Logger, uncovered: Uncovered): Promise<Stores> {
  const path = resolve(config.data)
  try {
    mkdirSync(path, { recursive: true })
    const stores = await openLmdbStores({ path, retention: retentionOf(config), logger, uncovered })
    let brokenAt: number | undefined
    void stores.broken.then(() => {
      brokenAt = performance.now()
    })
    return {
      ...stores,
      place: path,
      awayMs: () => (brokenAt === undefined ? 0 : performance.now() - brokenAt),
      onAway: (listener) => void stores.broken.then(() => listener(true)),
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new StartError(`PARLEY_DATA: the log in ${path} cannot be opened: ${reason}`, { cause: error })
  }
}

/**
 * Copies the embedded log into a folder that is not there yet, while a server may use it.
 * @throws ConfigError, StartError
 */
export function backUpLog(config: Config, to: string): Promise<void> {
  if (config.natsUrl !== undefined) {
    throw new ConfigError(['PARLEY_NATS_URL is set: the log on NATS is backed up with its own tools.'])
  }
  return orStartError('PARLEY_DATA', backUp(resolve(config.data), resolve(to)))
}

/**
 * Gives the log a new epoch, as it must have once it was restored by other means than a backup of ours: cursors from
 * before lead to a reset. Nobody may use it meanwhile.
 * @throws StartError
 */
export function renewLog(config: Config, logger: Logger): Promise<Renewal> {
  return config.natsUrl === undefined
    ? orStartError('PARLEY_DATA', renewEpoch(resolve(config.data)))
    : orStartError('PARLEY_NATS_URL', renewStreamsEpoch({ ...connectionOf(config), logger }, streamsOf(config)))
}

async function orStartError<T>(setting: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new StartError(`${setting}: ${reason}.`, { cause: error })
  }
}

function connectionOf(config: Config) {
  return {
    servers: config.natsUrl ?? [],
    name: `parley ${config.node}`,
    user: config.natsUser,
    password: config.natsPassword,
    token: config.natsToken,
    nkeyFile: config.natsNkey,
    credsFile: config.natsCreds,
    tls: { caFile: config.natsCa, certFile: config.natsCert, keyFile: config.natsKey },
  }
}

function streamsOf(config: Config) {
  return {
    prefix: config.natsPrefix,
    replicas: config.natsReplicas,
    partitions: config.natsPartitions,
    storage: config.natsStorage,
    maxBytes: config.natsMaxBytes,
    ackWaitMs: config.ackWaitMs,
  }
}

async function openNats(config: Config, logger: Logger, uncovered: Uncovered): Promise<Stores> {
  const servers = config.natsUrl ?? []
  try {
    const stores = await openJetStreamStores({
      connection: connectionOf(config),
      streams: streamsOf(config),
      retention: retentionOf(config),
      cacheBytes: config.cacheBytes,
      logger,
      uncovered,
    })
    const { log, outage } = stores
    return {
      ...stores,
      place: servers.map(withoutSecrets).join(','),
      awayMs: () => log.reach.awayMs,
      onAway: (listener) => outage.onChange(listener),
    }
  } catch (error) {
    if (error instanceof JetStreamStartError) {
      throw new StartError(`PARLEY_NATS_URL: ${error.message}`, { cause: error })
    }
    throw error
  }
}

function retentionOf(config: Config) {
  return { maxAgeMs: config.retention * 1000, maxBytes: config.retentionBytes }
}
