// Epochs of a data folder: the present one, which every cursor carries, and those of its past. A folder that was
// restored from a copy is given a new one, so that a cursor from after the copy was taken is refused, and not
// mistaken for a place in what came since. What lies in the folder itself was copied together with the log, so its
// cursors of past epochs are still right: they are read as of the present one.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Cursor, formatCursor, parseCursor } from '@parley/protocol'
import { ownDataFolder } from './data-folder-owner.ts'
import { LmdbEnvironment } from './lmdb-environment.ts'
import { openTables, type Tables } from './lmdb-tables.ts'

export interface Epochs {
  readonly present: string
  readonly past: ReadonlySet<string>
}

export interface Renewal {
  readonly before: string
  readonly after: string
}

const FORMAT = 1

/** The first epoch is made when the folder is new. @throws when the folder is of another format */
export async function openEpochs(environment: LmdbEnvironment, meta: Tables['meta']): Promise<Epochs> {
  const format = meta.get('format')
  if (format !== undefined && format !== FORMAT) {
    throw new Error(`the data folder has format ${format}; this version reads format ${FORMAT}`)
  }
  const known = meta.get('epoch')
  if (typeof known === 'string' && meta.get('copied') === undefined) return { present: known, past: pastOf(meta) }
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

/** A cursor that was stored in the folder, as of the present epoch. One of elsewhere stays as it is. */
export function presently(epochs: Epochs, cursor: Cursor): Cursor {
  const position = parseCursor(cursor)
  return position !== undefined && epochs.past.has(position.epoch) ? formatCursor(epochs.present, position.seq) : cursor
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
  const past = [...pastOf(meta), before].join(' ')
  await environment.write(() => {
    meta.put('past-epochs', past)
    meta.put('epoch', after)
    meta.remove('copied')
  }, true)
  return after
}

function pastOf(meta: Tables['meta']): ReadonlySet<string> {
  const text = meta.get('past-epochs')
  return new Set(typeof text === 'string' ? text.split(' ') : [])
}

function randomEpoch(): string {
  return randomBytes(9).toString('base64url')
}
