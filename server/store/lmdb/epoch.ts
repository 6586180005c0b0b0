// The epochs of a data folder: where they are written, and how a new one begins. What lies in the folder was copied
// together with the log, so a new epoch costs one transaction, whatever the folder's size.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Epochs, type Renewal, readPast, writePast } from '../ports/epoch.ts'
import { ownDataFolder } from './data-folder-lock.ts'
import { LmdbEnvironment } from './environment.ts'
import { openTables, type Tables } from './tables.ts'

const FORMAT = 2

/** The first epoch is made when the folder is new. @throws when the folder is of another format */
export async function openEpochs(environment: LmdbEnvironment, meta: Tables['meta']): Promise<Epochs> {
  const format = meta.get('format')
  if (format !== undefined && format !== FORMAT) {
    throw new Error(`the data folder has format ${format}; this version reads format ${FORMAT}`)
  }
  const known = meta.get('epoch')
  if (typeof known === 'string' && meta.get('copied') === undefined)
    return { present: known, past: readPast(meta.get('past-epochs')) }
  if (typeof known === 'string') {
    await renew(environment, meta, known)
    return openEpochs(environment, meta)
  }
  const present = randomEpoch()
  await environment.write(() => {
    meta.put('format', FORMAT)
    meta.put('epoch', present)
  })
  return { present, past: new Set() }
}

/**
 * Gives the folder a new epoch, in one transaction, whatever its size.
 * @throws DataFolderInUse when a server uses it, Error when there is no log in it, StorageError
 */
export async function renewEpoch(path: string): Promise<Renewal> {
  if (!existsSync(join(path, 'data.mdb'))) throw new Error(`there is no log in ${path}`)
  const environment = new LmdbEnvironment({ path })
  try {
    const { meta } = openTables(environment)
    const ownership = await ownDataFolder(path, environment, meta)
    try {
      const { present } = await openEpochs(environment, meta)
      return { before: present, after: await renew(environment, meta, present) }
    } finally {
      await ownership.release()
    }
  } finally {
    await environment.close()
  }
}

async function renew(environment: LmdbEnvironment, meta: Tables['meta'], before: string): Promise<string> {
  const after = randomEpoch()
  const past = writePast([...readPast(meta.get('past-epochs')), before])
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
