// LmdbEnvironment: the one file that knows the `lmdb` package. It owns the tables of one data folder and
// turns writes into transactions whose promise means "on disk": `overlappingSync` is off, so
// that a commit's promise resolves after LMDB's own fsyncs (with it on, the promise comes before the flush, and a
// commit cost 60 µs more CPU here). A failed transaction leaves no trace and says why with a StorageError.
import { statfsSync } from 'node:fs'
import { type Database, type Key, open, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb'
import { StorageError } from '../ports/errors.ts'
import { stallTolerantTimeout } from '../stall-tolerant-timeout.ts'

export type { Key }

export interface EnvironmentOptions {
  readonly path: string
  /** Milliseconds after which a commit that neither succeeded nor failed breaks the store; default 60,000. */
  readonly commitTimeoutMs?: number
  /** Told when it is broken: until the folder is opened again nothing can be written. */
  readonly broken?: ((error: Error) => void) | undefined
  /** Bytes that must be free in the file system; default 32 MB, of which upkeep may use three quarters. */
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

/** One table. Writes take effect with the surrounding `write`; reads see only what was committed. */
export class Table<K extends Key, V> {
  readonly #db: Database<V, K>
  readonly #check: () => void

  constructor(db: Database<V, K>, check: () => void) {
    this.#db = db
    this.#check = check
  }

  /** @throws StorageError when the environment was closed */
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

  /** From `from` (included) to `to` (not included); backwards, `from` is the higher one. Read it within one event turn. */
  range(from: K | undefined, to: K | undefined, limits: RangeLimits = {}): Iterable<Row<K, V>> {
    this.#check()
    return this.#db.getRange({
      ...(from === undefined ? {} : { start: from }),
      ...(to === undefined ? {} : { end: to }),
      ...limits,
    })
  }
}

/** Codes that mean "no space": ENOSPC, EFBIG, EDQUOT, and LMDB's full map. */
const FULL_CODES: ReadonlySet<unknown> = new Set([28, 27, 122, -30792])
const NEARLY_FULL_BYTES = 64 * 1024
/** Milliseconds for which the free bytes are taken as they were. */
const FREE_MS = 20
const RESERVE_BYTES = 32 * 1024 * 1024

export class LmdbEnvironment {
  readonly #root: RootDatabase
  readonly #path: string
  readonly #commitTimeoutMs: number
  readonly #broken: ((error: Error) => void) | undefined
  readonly #reserveBytes: number
  #state: 'open' | 'broken' | 'closed' = 'open'
  /** Free bytes, and when that was asked. */
  #free = 0
  #askedAt = Number.NEGATIVE_INFINITY

  /** @throws when the folder cannot be made, or is not a data folder */
  constructor(options: EnvironmentOptions) {
    this.#path = options.path
    this.#commitTimeoutMs = options.commitTimeoutMs ?? 60_000
    this.#broken = options.broken
    this.#reserveBytes = options.reserveBytes ?? RESERVE_BYTES
    this.#root = open({
      path: options.path,
      maxDbs: 16,
      overlappingSync: false,
      noSubdir: false,
      // With it, lmdb begins each batch with an operation whose promise nobody holds: a failed commit would end the process.
      eventTurnBatching: false,
    } as RootDatabaseOptionsWithPath)
  }

  /** Values are bytes, as they are. */
  bytes<K extends Key>(name: string): Table<K, Buffer> {
    return new Table(this.#root.openDB<Buffer, K>({ name, encoding: 'binary' }), this.#checkOpen)
  }

  /** Values are plain data. */
  values<K extends Key, V>(name: string): Table<K, V> {
    return new Table(this.#root.openDB<V, K>({ name, encoding: 'msgpack' }), this.#checkOpen)
  }

  /**
   * Does the writes of `action` in one transaction, which other calls of the same event turn usually share.
   * Writes belong into such an action, and nowhere else; it must not throw between two writes.
   * Resolves when they are on disk.
   * @param upkeep it makes room, or keeps order: it may use most of the reserve
   * @throws StorageError, and then nothing was written
   */
  async write(action: () => void, upkeep = false): Promise<void> {
    if (this.#state !== 'open') throw new StorageError('unavailable')
    if (!this.hasRoom(upkeep)) throw new StorageError('full')
    try {
      await this.#bounded(this.#root.batch(action))
    } catch (error) {
      throw await this.#failure(error)
    }
  }

  // LMDB 3.5.6 survives a failed write of its file, but formats the message into a buffer that can be some bytes too
  // short, and a damaged heap may end the process later. So it should not come to that: ask first. Not at every commit:
  // what can be written until it is asked again is far less than the reserve.
  hasRoom(upkeep = false): boolean {
    const now = performance.now()
    if (now - this.#askedAt >= FREE_MS || this.#free < this.#reserveBytes * 2) {
      this.#askedAt = now
      this.#free = this.#ask()
    }
    return this.#free >= (upkeep ? this.#reserveBytes / 4 : this.#reserveBytes)
  }

  /** Compares and changes in one transaction that excludes other processes too; blocks, so for opening only. */
  exclusively<T>(action: () => T): T {
    return this.#root.transactionSync(action)
  }

  /** From now on reads see every commit whose promise has resolved. */
  refresh(): void {
    this.#root.resetReadTxn()
  }

  /** Writes one moment's state into an empty folder, while this and other processes write on. */
  copy(folder: string): Promise<void> {
    return this.#root.backup(folder, false)
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    const broken = this.#state === 'broken'
    this.#state = 'closed'
    // A writer thread that hangs would make `close` hang as well; the process is about to end anyway.
    if (!broken) await this.#root.close()
  }

  // LMDB's writer thread hangs without a word when it cannot even begin a transaction (after a failed write of its
  // meta page). What became of the commit is then unknown, so nothing may be written until the folder is opened again.
  #bounded(done: Promise<boolean>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const answered = stallTolerantTimeout(this.#commitTimeoutMs, () => {
        this.#state = 'broken'
        const error = new Error(`a commit took more than ${this.#commitTimeoutMs} ms`)
        reject(error)
        this.#broken?.(error)
      })
      done.then(resolve, reject).finally(answered)
    })
  }

  async #failure(error: unknown): Promise<StorageError> {
    const cause = await commitError(error)
    const code = (cause as { code?: unknown }).code
    // After the first failed operation LMDB reports only "bad transaction" for the others in it.
    const full = FULL_CODES.has(code) || this.#ask() < NEARLY_FULL_BYTES
    return new StorageError(full ? 'full' : 'unavailable', cause)
  }

  readonly #checkOpen = (): void => {
    if (this.#state === 'closed') throw new StorageError('unavailable')
  }

  #ask(): number {
    const { bavail, bsize } = statfsSync(this.#path)
    return bavail * bsize
  }
}

// lmdb rejects a put with a general error, whose `commitError` is a promise that rejects with the reason.
async function commitError(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<never> }).commitError
  if (reason === undefined) return error
  return reason.catch((cause: unknown) => cause)
}
