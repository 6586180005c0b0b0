// backUp: a copy of a data folder as it was at one moment, made while a server works on it. The copy is marked, so that
// whoever first opens it for work gives it an epoch of its own, each time it is restored. What is at its place is whole:
// until then it lies beside, under another name.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { settle } from './checkpoint.ts'
import { LmdbEnvironment } from './environment.ts'
import { JournalDamaged } from './journal/journal-folder.ts'
import { readSegmentHeader } from './journal/journal-record.ts'
import { journalFolder, openState } from './log-state.ts'
import { LAST, openTables } from './tables.ts'

const TRIES = 5

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
  try {
    await copyWhole(path, part)
    renameSync(part, to)
  } catch (error) {
    rmSync(part, { recursive: true, force: true })
    throw error
  }
}

/** A file of the journal that was used again while it was copied makes a hole: then all is copied anew. */
async function copyWhole(path: string, part: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      mkdirSync(part)
      await copy(path, part)
      await finish(part)
      return
    } catch (error) {
      if (attempt === TRIES || !(error instanceof JournalDamaged)) throw error
      rmSync(part, { recursive: true })
    }
  }
}

// First the journal, then the tables, which may have settled more of it by then; the other way round, what was settled
// in between would be in neither.
async function copy(path: string, part: string): Promise<void> {
  copyJournal(journalFolder(path), journalFolder(part))
  // Beside the server that has the folder: LMDB lets any process read, and nothing is written here.
  const environment = new LmdbEnvironment({ path })
  try {
    await environment.copy(part)
  } finally {
    await environment.close()
  }
}

/** The newest file first, so that what is written meanwhile is missing at the end, and not in the middle. */
function copyJournal(from: string, to: string): void {
  mkdirSync(to)
  const files = readdirSync(from).map((name) => ({ name, bytes: readFileSync(join(from, name)) }))
  const numbered = files.map(({ name, bytes }) => ({
    name,
    number: readSegmentHeader(bytes) ?? Number.MAX_SAFE_INTEGER,
  }))
  numbered.sort((a, b) => b.number - a.number)
  for (const { name } of numbered) copyFileSync(join(from, name), join(to, name))
}

// The copy's journal is settled at once: the copy is the tables alone, and all of it one file.
async function finish(part: string): Promise<void> {
  const environment = new LmdbEnvironment({ path: part })
  try {
    const tables = openTables(environment)
    const { state, journal } = await openState(environment, tables, { path: part })
    for (const step of settle(state, state.last, () => undefined)) {
      await environment.write(() => step.write())
      environment.refresh()
      step.done()
    }
    await journal.close()
    // Some sessions may have been settled beyond where the copied journal ends.
    let last = state.last
    for (const { key } of tables.ages.range(LAST, 0, { reverse: true, limit: 1 })) last = Math.max(last, key)
    await environment.write(() => {
      tables.meta.put('settled', last)
      tables.meta.remove('journal')
      tables.meta.put('copied', 1)
    })
  } finally {
    await environment.close()
  }
  rmSync(journalFolder(part), { recursive: true })
}
