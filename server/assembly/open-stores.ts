// Opens the stores that the settings name. Only the code of that kind is loaded: the other one would delay every start.
import { type Config, ConfigError } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import type { EpochRenewal } from '../store/ports/epoch.ts'
import type { Stores, Uncovered } from './stores.ts'

/** @throws StartError */
export async function openStores(config: Config, logger: Logger, uncovered: Uncovered): Promise<Stores> {
  if (config.natsUrl === undefined) {
    const { openEmbedded } = await import('./open-embedded.ts')
    return openEmbedded(config, logger, uncovered)
  }
  const { openJetStream } = await import('./open-jetstream.ts')
  return openJetStream(config, logger, uncovered)
}

/**
 * Copies the embedded log into a new folder. A server may use the log meanwhile.
 * @throws ConfigError, StartError
 */
export async function backUpLog(config: Config, to: string): Promise<void> {
  if (config.natsUrl !== undefined) {
    throw new ConfigError(['PARLEY_NATS_URL is set: back up the log on NATS with the NATS tools.'])
  }
  const { backUpEmbedded } = await import('./open-embedded.ts')
  return backUpEmbedded(config, to)
}

/**
 * Gives the log a new epoch, which is required after a restore from a copy that Parley did not make: older cursors then
 * lead to a reset. No server may use the log meanwhile.
 * @throws StartError
 */
export async function renewLog(config: Config, logger: Logger): Promise<EpochRenewal> {
  if (config.natsUrl === undefined) {
    const { renewEmbedded } = await import('./open-embedded.ts')
    return renewEmbedded(config)
  }
  const { renewJetStream } = await import('./open-jetstream.ts')
  return renewJetStream(config, logger)
}
