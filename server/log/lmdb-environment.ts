// LmdbEnvironment: the one file that knows the `lmdb` package. It owns the tables of one data folder and
// turns writes of one event turn into one transaction whose promise means "on disk": `overlappingSync` is off, so
// that a commit's promise resolves after LMDB's own fsyncs (with it on, the promise comes before the flush, and a
// commit cost 60 µs more CPU here). A failed transaction leaves no trace and says why with a StorageError.
import { statfs } from 'node:fs/promises'
import { type Database, type Key, open, type RootDatabase } from 'lmdb'
import { StorageError } from './log-error.ts'

export type { Key }

export interface EnvironmentOptions {
  readonly path: string
  /** Milliseconds after which a commit that neither succeeded nor failed breaks the store; default 60,000. */
  readonly commitTimeoutMs?: number
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
  readonly #track: (done: Promise<boolean>) => void

  constructor(db: Database<V, K>, track: (done: Promise<boolean>) => void) {
    this.#db = db
    this.#track = track
  }

  get(key: K): V | undefined {
    return this.#db.get(key)
  }

  put(key: K, value: V): void {
    this.#track(this.#db.put(key, value))
  }

  remove(key: K): void {
    this.#track(this.#db.remove(key))
  }

  /** From `from` (included) to `to` (not included); backwards, `from` is the higher one. Read it within one event turn. */
  range(from: K | undefined, to: K | undefined, limits: RangeLimits = {}): Iterable<Row<K, V>> {
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

export class LmdbEnvironment {
  readonly #root: RootDatabase
  readonly #path: string
  readonly #commitTimeoutMs: number
  #state: 'open' | 'broken' | 'closed' = 'open'
  #last: Promise<boolean> | undefined

  /** @throws when the folder cannot be made, or is not a data folder */
  constructor(options: EnvironmentOptions) {
    this.#path = options.path
    this.#commitTimeoutMs = options.commitTimeoutMs ?? 60_000
    this.#root = open({
      path: options.path,
      maxDbs: 16,
      overlappingSync: false,
      noSubdir: false,
    })
  }

  /** Values are bytes, as they are. */
  bytes<K extends Key>(name: string): Table<K, Buffer> {
    return this.#table(this.#root.openDB<Buffer, K>({ name, encoding: 'binary' }))
  }

  /** Values are plain data. */
  values<K extends Key, V>(name: string): Table<K, V> {
    return this.#table(this.#root.openDB<V, K>({ name, encoding: 'msgpack' }))
  }

  /**
   * Does the writes of `action` in one transaction, which other writes of the same event turn share.
   * `action` must not throw between two writes. Resolves when they are on disk.
   * @throws StorageError, and then nothing was written
   */
  async write(action: () => void): Promise<void> {
    if (this.#state !== 'open') throw new StorageError('unavailable')
    this.#last = undefined
    action()
    const done = this.#last as Promise<boolean> | undefined
    if (done === undefined) return
    try {
      await this.#bounded(done)
    } catch (error) {
      throw await this.#failure(error)
    }
  }

  /** Compares and changes in one transaction that excludes other processes too; blocks, so for opening only. */
  exclusively<T>(action: () => T): T {
    return this.#root.transactionSync(action)
  }

  /** From now on reads see every commit whose promise has resolved. */
  refresh(): void {
    this.#root.resetReadTxn()
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    const broken = this.#state === 'broken'
    this.#state = 'closed'
    // A writer thread that hangs would make `close` hang as well; the process is about to end anyway.
    if (!broken) await this.#root.close()
  }

  #table<K extends Key, V>(db: Database<V, K>): Table<K, V> {
    return new Table(db, (done) => {
      this.#last = done
    })
  }

  // LMDB's writer thread hangs without a word when it cannot even begin a transaction (after a failed write of its
  // meta page). What became of the commit is then unknown, so nothing may be written until the folder is opened again.
  #bounded(done: Promise<boolean>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#state = 'broken'
        reject(new Error(`a commit took more than ${this.#commitTimeoutMs} ms`))
      }, this.#commitTimeoutMs)
      timer.unref()
      done.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  async #failure(error: unknown): Promise<StorageError> {
    const cause = await commitError(error)
    const code = (cause as { code?: unknown }).code
    const full = FULL_CODES.has(code) || (await this.#isFull())
    return new StorageError(full ? 'full' : 'unavailable', cause)
  }

  // After the first failed write LMDB reports only "bad transaction" for those that follow in it, so ask the file system.
  async #isFull(): Promise<boolean> {
    try {
      const { bavail, bsize } = await statfs(this.#path)
      return bavail * bsize < NEARLY_FULL_BYTES
    } catch {
      return false // nobody knows: then it is not known to be full
    }
  }
}

// lmdb rejects a put with a general error, whose `commitError` is a promise that rejects with the reason.
async function commitError(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<never> }).commitError
  if (reason === undefined) return error
  return reason.catch((cause: unknown) => cause)
}
