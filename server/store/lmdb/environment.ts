// LmdbEnvironment: the only file that imports the `lmdb` package. It owns the tables of one data folder. The promise of
// a write means "on disk": `overlappingSync` is off, so a commit's promise resolves after LMDB's fsyncs. (With it on,
// the promise resolves before the flush, and a commit cost 60 µs more CPU here.) A failed transaction changes nothing,
// and rejects with a StorageError.
import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, type Key, open, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb'
import { StorageError } from '../ports/errors.ts'
import { stallTolerantTimeout } from '../stall-tolerant-timeout.ts'
import { checkTables } from './table-check.ts'

export type { Key }

/** The file with the tables, in the data folder. */
export const TABLES = 'data.mdb'

export interface EnvironmentOptions {
  readonly path: string
  /** A commit that neither succeeds nor fails for this long breaks the store (ms); default 60,000. */
  readonly commitTimeoutMs?: number
  /** Called when the store is broken: it accepts no more writes until the folder is opened again. */
  readonly onBroken?: ((error: Error) => void) | undefined
  /** Bytes that must be free in the file system; default 32 MiB, of which background work may use three quarters. */
  readonly reserveBytes?: number
}

export interface Row<K, V> {
  readonly key: K
  readonly value: V
}

export interface RangeLimits {
  readonly limit?: number
  readonly reverse?: boolean
}

/** One table. Writes take effect with the surrounding `write`; reads see only committed values. */
export class Table<K extends Key, V> {
  readonly #db: Database<V, K>
  readonly #check: () => void

  constructor(db: Database<V, K>, check: () => void) {
    this.#db = db
    this.#check = check
  }

  /** @throws StorageError if the environment is closed */
  get(key: K): V | undefined {
    this.#check()
    return this.#db.get(key)
  }

  put(key: K, value: V): void {
    void this.#db.put(key, value)
  }

  remove(key: K): void {
    void this.#db.remove(key)
  }

  /**
   * From `from` (inclusive) to `to` (exclusive); with `reverse`, `from` is the higher one. Read it within one turn of
   * the event loop.
   */
  range(from: K | undefined, to: K | undefined, limits: RangeLimits = {}): Iterable<Row<K, V>> {
    this.#check()
    return this.#db.getRange({
      ...(from === undefined ? {} : { start: from }),
      ...(to === undefined ? {} : { end: to }),
      ...limits,
    })
  }
}

/** Codes that mean "no space": ENOSPC, EFBIG, EDQUOT, and MDB_MAP_FULL. */
const FULL_CODES: ReadonlySet<unknown> = new Set([28, 27, 122, -30792])
const NEARLY_FULL_BYTES = 64 * 1024
/** The number of free bytes is cached for this long. */
const FREE_BYTES_TTL_MS = 20
const RESERVE_BYTES = 32 * 1024 * 1024

export class LmdbEnvironment {
  readonly #root: RootDatabase
  readonly #path: string
  readonly #commitTimeoutMs: number
  readonly #onBroken: ((error: Error) => void) | undefined
  readonly #reserveBytes: number
  #state: 'open' | 'broken' | 'closed' = 'open'
  #freeBytes = 0
  #freeBytesAt = Number.NEGATIVE_INFINITY

  /** @throws Error if the folder cannot be created, is not a data folder, or is damaged */
  constructor(options: EnvironmentOptions) {
    this.#path = options.path
    this.#commitTimeoutMs = options.commitTimeoutMs ?? 60_000
    this.#onBroken = options.onBroken
    this.#reserveBytes = options.reserveBytes ?? RESERVE_BYTES
    checkTables(join(options.path, TABLES))
    this.#root = open({
      path: options.path,
      maxDbs: 16,
      overlappingSync: false,
      noSubdir: false,
      // With it, lmdb begins each batch with an operation whose promise nobody handles, so a failed commit would end
      // the process.
      eventTurnBatching: false,
    } as RootDatabaseOptionsWithPath)
  }

  /** A table whose values are bytes. */
  bytes<K extends Key>(name: string): Table<K, Buffer> {
    return new Table(this.#root.openDB<Buffer, K>({ name, encoding: 'binary' }), this.#checkOpen)
  }

  /** A table whose values are plain data. */
  values<K extends Key, V>(name: string): Table<K, V> {
    return new Table(this.#root.openDB<V, K>({ name, encoding: 'msgpack' }), this.#checkOpen)
  }

  /**
   * Runs the writes of `action` in one transaction, which other calls of the same turn usually share. Resolves when
   * they are on disk. All writes must be inside such an action, and it must not throw between two writes.
   * @param isBackground the writes free space or record progress, so they may use most of the reserve
   * @throws StorageError; nothing was written, unless the store broke
   */
  async write(action: () => void, isBackground = false): Promise<void> {
    if (this.#state !== 'open') throw new StorageError('unavailable')
    if (!this.hasRoom(isBackground)) throw new StorageError('full')
    try {
      await this.#withTimeout(this.#root.batch(action))
    } catch (error) {
      throw await this.#storageError(error)
    }
  }

  // LMDB 3.5.6 survives a failed write of its file, but formats the error message into a buffer that can be some bytes
  // too short, and the damaged heap may end the process later. So it must not write to a full disk. The number of free
  // bytes may be cached, because far less than the reserve can be written in that time.
  hasRoom(isBackground = false): boolean {
    const now = performance.now()
    if (now - this.#freeBytesAt >= FREE_BYTES_TTL_MS || this.#freeBytes < this.#reserveBytes * 2) {
      this.#freeBytesAt = now
      this.#freeBytes = this.#readFreeBytes()
    }
    return this.#freeBytes >= (isBackground ? this.#reserveBytes / 4 : this.#reserveBytes)
  }

  /**
   * Runs `action` in a transaction that also excludes other processes. It blocks the thread, so use it only while
   * opening.
   */
  exclusively<T>(action: () => T): T {
    return this.#root.transactionSync(action)
  }

  /** Makes later reads see every commit whose promise has resolved. */
  refresh(): void {
    this.#root.resetReadTxn()
  }

  /** Copies the tables as of one moment into an empty folder, while this and other processes continue to write. */
  copy(folder: string): Promise<void> {
    return this.#root.backup(folder, false)
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    const isBroken = this.#state === 'broken'
    this.#state = 'closed'
    // If LMDB's writer thread hangs, its `close` hangs too; the process is about to end anyway.
    if (!isBroken) await this.#root.close()
  }

  // LMDB's writer thread hangs silently if it cannot begin a transaction (after a failed write of its meta page). It is
  // then unknown whether the commit was stored, so no later write is safe until the folder is opened again.
  #withTimeout(done: Promise<boolean>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const answered = stallTolerantTimeout(this.#commitTimeoutMs, () => {
        this.#state = 'broken'
        const error = new Error(`a commit took more than ${this.#commitTimeoutMs} ms`)
        reject(error)
        this.#onBroken?.(error)
      })
      done.then(resolve, reject).finally(answered)
    })
  }

  async #storageError(error: unknown): Promise<StorageError> {
    const cause = await commitError(error)
    const code = (cause as { code?: unknown }).code
    // After the first failed operation, LMDB reports only "bad transaction" for the others of the transaction.
    const full = FULL_CODES.has(code) || this.#readFreeBytes() < NEARLY_FULL_BYTES
    return new StorageError(full ? 'full' : 'unavailable', cause)
  }

  readonly #checkOpen = (): void => {
    if (this.#state === 'closed') throw new StorageError('unavailable')
  }

  /** @throws StorageError if the folder cannot be examined, for example because it was removed */
  #readFreeBytes(): number {
    try {
      const { bavail, bsize } = statfsSync(this.#path)
      return bavail * bsize
    } catch (error) {
      throw new StorageError('unavailable', error)
    }
  }
}

// The package lmdb rejects a put with a general error whose `commitError` is a promise that rejects with the reason.
async function commitError(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<never> }).commitError
  if (reason === undefined) return error
  return reason.catch((cause: unknown) => cause)
}
