// openStores: opens the configured stores, embedded or on NATS, and runs their offline maintenance. The only file that names
// concrete stores.
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
import type { EpochRenewal } from '../store/ports/epoch.ts'
import type { NodeNews } from '../store/ports/node-news.ts'
import type { RunQueue } from '../store/ports/run-queue.ts'
import type { ScatterGather } from '../store/ports/scatter-gather.ts'
import type { SessionDirectory } from '../store/ports/session-directory.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { TranscriptStore } from '../store/ports/transcript-store.ts'
import { StorageProbe } from '../store/storage-probe.ts'
import type { LimitsStores } from './open-limits.ts'

/** The environment prevents the start. The message says what to do. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** The stores of either kind, and their state. */
export interface Stores extends LimitsStores {
  readonly log: SessionLog
  readonly transcripts: TranscriptStore
  readonly runs: RunQueue
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
  readonly appendYield?: AppendYield
  readonly scatterGather?: ScatterGather
  readonly presenceNews?: NodeNews
  /** Calls of MCP clients that they have cancelled. */
  readonly cancelNews?: NodeNews
  /** The location, for people: the data folder or the NATS servers. */
  readonly place: string
  /** Milliseconds since the log became unavailable; 0 if it is available. */
  outageMs(): number
  /** Whether the log accepts new data, or did so a second ago. Never rejects. */
  canStore(): Promise<boolean>
  /** Calls back when an outage of the log starts and ends. */
  onOutage(listener: (ongoing: boolean) => void): void
  /** Resolves when the log cannot be written again before a restart. */
  readonly broken?: Promise<Error>
  close(): Promise<void>
}

/** Called with sessions whose expired entries are not covered by a transcript. */
type Uncovered = (sessions: ReadonlySet<string>) => void

/** @throws StartError */
export function openStores(config: Config, logger: Logger, uncovered: Uncovered): Promise<Stores> {
  return config.natsUrl === undefined ? openEmbedded(config, logger, uncovered) : openNats(config, logger, uncovered)
}

async function openEmbedded(config: Config, logger: Logger, uncovered: Uncovered): Promise<Stores> {
  const path = resolve(config.data)
  try {
    mkdirSync(path, { recursive: true })
    const stores = await openLmdbStores({ path, retention: retentionOf(config), logger, onUncovered: uncovered })
    let brokenAt: number | undefined
    void stores.broken.then(() => {
      brokenAt = performance.now()
    })
    const probe = new StorageProbe({ probe: () => stores.log.probe(), logger })
    return {
      ...stores,
      place: path,
      canStore: async () => (await probe.check()) && brokenAt === undefined,
      outageMs: () => (brokenAt === undefined ? 0 : performance.now() - brokenAt),
      onOutage: (listener) => void stores.broken.then(() => listener(true)),
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new StartError(`PARLEY_DATA: cannot open the log in ${path}: ${reason}`, { cause: error })
  }
}

/**
 * Copies the embedded log into a new folder. A server may use the log meanwhile.
 * @throws ConfigError, StartError
 */
export function backUpLog(config: Config, to: string): Promise<void> {
  if (config.natsUrl !== undefined) {
    throw new ConfigError(['PARLEY_NATS_URL is set: back up the log on NATS with the NATS tools.'])
  }
  return orStartError('PARLEY_DATA', backUp(resolve(config.data), resolve(to)))
}

/**
 * Gives the log a new epoch, which is required after a restore from a copy that Parley did not make: older cursors then
 * lead to a reset. No server may use the log meanwhile.
 * @throws StartError
 */
export function renewLog(config: Config, logger: Logger): Promise<EpochRenewal> {
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
      onUncovered: uncovered,
    })
    const { log, outage } = stores
    const probe = new StorageProbe({ probe: () => log.probe(), logger })
    return {
      ...stores,
      place: servers.map(withoutSecrets).join(','),
      outageMs: () => log.health.awayMs,
      canStore: () => probe.check(),
      onOutage: (listener) => outage.onChange(listener),
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
