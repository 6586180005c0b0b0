// backUp: copies a data folder as it is at one moment, while a server may use it. The copy is marked, so each restored
// copy gets a new epoch when a server opens it first. The copy has another name until it is complete.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { checkpoint } from './checkpoint.ts'
import { LmdbEnvironment } from './environment.ts'
import { isSegment, JournalDamaged } from './journal/journal-folder.ts'
import { readSegmentHeader } from './journal/journal-record.ts'
import { journalFolder, openState } from './log-state.ts'
import { MAX_NUMBER, openTables } from './tables.ts'

const MAX_ATTEMPTS = 5

/**
 * @param path the data folder
 * @param to the copy; must not exist yet
 * @throws Error if `path` contains no log, or if `to` exists; StorageError if the copy cannot be completed
 */
export async function backUp(path: string, to: string): Promise<void> {
  if (!existsSync(join(path, 'data.mdb'))) throw new Error(`${path} contains no log`)
  if (existsSync(to)) throw new Error(`${to} exists already`)
  const part = `${resolve(to)}.part`
  rmSync(part, { recursive: true, force: true })
  mkdirSync(dirname(part), { recursive: true })
  try {
    await copyWithRetries(path, part)
    renameSync(part, to)
  } catch (error) {
    rmSync(part, { recursive: true, force: true })
    throw error
  }
}

/**
 * If the server reuses a file of the journal during the copy, the copied journal has a gap: then it copies everything
 * again.
 */
async function copyWithRetries(path: string, part: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      mkdirSync(part)
      await copy(path, part)
      await finish(part)
      return
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !(error instanceof JournalDamaged)) throw error
      rmSync(part, { recursive: true })
    }
  }
}

// Copies the journal before the tables. A checkpoint in between puts entries into both copies; with the other order, it
// would leave them out of both.
async function copy(path: string, part: string): Promise<void> {
  copyJournal(journalFolder(path), journalFolder(part))
  // This needs no lock: LMDB lets any process read, and this one writes nothing.
  const environment = new LmdbEnvironment({ path })
  try {
    await environment.copy(part)
  } finally {
    await environment.close()
  }
}

/**
 * Copies the newest file first, so that entries that are written meanwhile are missing at the end, not in the middle.
 */
function copyJournal(from: string, to: string): void {
  mkdirSync(to)
  const files = readdirSync(from)
    .filter(isSegment)
    .map((name) => ({ name, bytes: readFileSync(join(from, name)) }))
  const numbered = files.map(({ name, bytes }) => ({
    name,
    number: readSegmentHeader(bytes) ?? Number.MAX_SAFE_INTEGER,
  }))
  numbered.sort((a, b) => b.number - a.number)
  for (const { name } of numbered) copyFileSync(join(from, name), join(to, name))
}

// Checkpoints the copied journal, so that the copy consists of the tables alone, in one file.
async function finish(part: string): Promise<void> {
  const environment = new LmdbEnvironment({ path: part })
  try {
    const tables = openTables(environment)
    const { state, journal } = await openState(environment, tables, { path: part, isCopy: true })
    for (const step of checkpoint(state, state.last, () => undefined)) {
      await environment.write(() => step.write())
      environment.refresh()
      step.done()
    }
    await journal.close()
    // The copied tables may have entries after the end of the copied journal.
    let last = state.last
    for (const { key } of tables.ages.range(MAX_NUMBER, 0, { reverse: true, limit: 1 })) last = Math.max(last, key)
    await environment.write(() => {
      tables.meta.put('settled', last)
      tables.meta.remove('journal')
      tables.meta.remove('segment')
      tables.meta.put('copied', 1)
    })
  } finally {
    await environment.close()
  }
  rmSync(journalFolder(part), { recursive: true })
}
