// Opens and renews the log on NATS JetStream.
import type { Config } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { JetStreamStartError, withoutSecrets } from '../store/jetstream/connection.ts'
import { renewStreamsEpoch } from '../store/jetstream/maintenance/epoch.ts'
import { openJetStreamStores } from '../store/jetstream/stores.ts'
import type { EpochRenewal } from '../store/ports/epoch.ts'
import { StorageProbe } from '../store/storage-probe.ts'
import { orStartError, StartError } from './start-error.ts'
import { retentionOf, type Stores, type Uncovered } from './stores.ts'

/** @throws StartError */
export async function openJetStream(config: Config, logger: Logger, uncovered: Uncovered): Promise<Stores> {
  const servers = config.natsUrl ?? []
  try {
    const stores = await openJetStreamStores({
      connection: connectionOf(config),
      streams: streamsOf(config),
      retention: retentionOf(config),
      cacheBytes: config.cacheBytes,
      node: config.node,
      nodeTimeoutMs: config.nodeTimeoutMs,
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

/** @throws StartError */
export function renewJetStream(config: Config, logger: Logger): Promise<EpochRenewal> {
  return orStartError('PARLEY_NATS_URL', renewStreamsEpoch({ ...connectionOf(config), logger }, streamsOf(config)))
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
