// backUp: a copy of a data folder as it was at one moment, made while a server works on it. The copy is marked, so that
// whoever first opens it for work gives it an epoch of its own, each time it is restored. What is at its place is whole:
// until then it lies beside, under another name.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { LmdbEnvironment } from './lmdb-environment.ts'
import { openTables } from './lmdb-tables.ts'

/**
 * @param to a folder that is not there yet
 * @throws Error when there is no log in `path`, or something at `to`; StorageError when the copy cannot be finished
 */
export async function backUp(path: string, to: string): Promise<void> {
  if (!existsSync(join(path, 'data.mdb'))) throw new Error(`there is no log in ${path}`)
  if (existsSync(to)) throw new Error(`${to} is there already`)
  const part = `${resolve(to)}.part`
  rmSync(part, { recursive: true, force: true })
  mkdirSync(dirname(part), { recursive: true })
  mkdirSync(part)
  try {
    await copy(path, part)
    // Its commit also brings all that was copied to the disk: it is the same file.
    await mark(part)
    renameSync(part, to)
  } catch (error) {
    rmSync(part, { recursive: true, force: true })
    throw error
  }
}

async function copy(path: string, part: string): Promise<void> {
  // Beside the server that has the folder: LMDB lets any process read, and nothing is written here.
  const environment = new LmdbEnvironment({ path })
  try {
    await environment.copy(part)
  } finally {
    await environment.close()
  }
}

async function mark(part: string): Promise<void> {
  const environment = new LmdbEnvironment({ path: part })
  try {
    const { meta } = openTables(environment)
    await environment.write(() => meta.put('copied', 1))
  } finally {
    await environment.close()
  }
}
