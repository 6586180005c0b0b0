// Opens, copies and renews the log that is embedded in the process.
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { backUp } from '../store/lmdb/backup.ts'
import { renewEpoch } from '../store/lmdb/epoch.ts'
import { openLmdbStores } from '../store/lmdb/stores.ts'
import type { EpochRenewal } from '../store/ports/epoch.ts'
import { StorageProbe } from '../store/storage-probe.ts'
import { orStartError, StartError } from './start-error.ts'
import { retentionOf, type Stores, type Uncovered } from './stores.ts'

/** @throws StartError */
export async function openEmbedded(config: Config, logger: Logger, uncovered: Uncovered): Promise<Stores> {
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

/** @throws StartError */
export function backUpEmbedded(config: Config, to: string): Promise<void> {
  return orStartError('PARLEY_DATA', backUp(resolve(config.data), resolve(to)))
}

/** @throws StartError */
export function renewEmbedded(config: Config): Promise<EpochRenewal> {
  return orStartError('PARLEY_DATA', renewEpoch(resolve(config.data)))
}
