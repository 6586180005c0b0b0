// The epochs of a data folder: where they are stored, and how a new one begins. Everything in the folder was backed up
// together with the log, so a new epoch costs one transaction, whatever the folder's size.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type EpochRenewal, type Epochs, formatPastEpochs, parsePastEpochs } from '../ports/epoch.ts'
import { lockDataFolder } from './data-folder-lock.ts'
import { LmdbEnvironment } from './environment.ts'
import { openTables, type Tables } from './tables.ts'

const FORMAT = 2

/**
 * Returns the folder's epochs. A new folder, and a backup that is opened for the first time, gets a new epoch first.
 * @throws Error if the folder has another format; StorageError
 */
export async function openEpochs(environment: LmdbEnvironment, meta: Tables['meta']): Promise<Epochs> {
  const format = meta.get('format')
  if (format !== undefined && format !== FORMAT) {
    throw new Error(`the data folder has format ${format}; this version reads only format ${FORMAT}`)
  }
  const known = meta.get('epoch')
  if (typeof known === 'string' && meta.get('copied') === undefined)
    return { current: known, past: parsePastEpochs(meta.get('past-epochs')) }
  if (typeof known === 'string') {
    await renew(environment, meta, known)
    return openEpochs(environment, meta)
  }
  const current = randomEpoch()
  await environment.write(() => {
    meta.put('format', FORMAT)
    meta.put('epoch', current)
  })
  return { current, past: new Set() }
}

/**
 * Gives the folder a new epoch, in one transaction.
 * @throws DataFolderInUse if a server uses it; Error if it contains no log; StorageError
 */
export async function renewEpoch(path: string): Promise<EpochRenewal> {
  if (!existsSync(join(path, 'data.mdb'))) throw new Error(`${path} contains no log`)
  const environment = new LmdbEnvironment({ path })
  try {
    const { meta } = openTables(environment)
    const lock = await lockDataFolder(path, environment, meta)
    try {
      const { current } = await openEpochs(environment, meta)
      return { before: current, after: await renew(environment, meta, current) }
    } finally {
      await lock.release()
    }
  } finally {
    await environment.close()
  }
}

async function renew(environment: LmdbEnvironment, meta: Tables['meta'], before: string): Promise<string> {
  const after = randomEpoch()
  const past = formatPastEpochs([...parsePastEpochs(meta.get('past-epochs')), before])
  await environment.write(() => {
    meta.put('past-epochs', past)
    meta.put('epoch', after)
    meta.remove('copied')
  }, true)
  return after
}

function randomEpoch(): string {
  return randomBytes(9).toString('base64url')
}
