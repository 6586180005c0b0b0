// BrowserStorage: the values that the page stores in this browser, as JSON. If the browser denies storage or is full,
// nothing throws: write returns false. Each user's keys have their own prefix.

/** The part of the browser's Storage that this file uses. */
export type WebStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>

export class BrowserStorage {
  readonly #storage: WebStorage | undefined
  readonly #prefix: string

  /**
   * @param open returns the storage; browsers may throw here
   * @param user whose values these are; '' without authentication
   */
  constructor(open: () => WebStorage, user = '') {
    this.#storage = attempt(open)
    this.#prefix = user === '' ? '' : `${user}\n`
  }

  /** @returns undefined if there is no value, or if it is not JSON */
  read(key: string): unknown {
    return attempt(() => {
      const text = this.#storage?.getItem(this.#prefix + key) ?? undefined
      return text === undefined ? undefined : (JSON.parse(text) as unknown)
    })
  }

  /** @param value undefined removes the key @returns whether the browser stored it */
  write(key: string, value: unknown): boolean {
    if (this.#storage === undefined) return value === undefined
    const storage = this.#storage
    const done = attempt(() => {
      if (value === undefined) storage.removeItem(this.#prefix + key)
      else storage.setItem(this.#prefix + key, JSON.stringify(value))
      return true
    })
    return done === true
  }

  /** This user's keys with the given prefix. */
  keys(prefix: string): readonly string[] {
    const storage = this.#storage
    if (storage === undefined) return []
    const keys = Array.from({ length: storage.length }, (_, at) => storage.key(at) ?? '')
    const own = keys.filter((key) => key.startsWith(this.#prefix + prefix))
    return own.map((key) => key.slice(this.#prefix.length))
  }

  /** Whether the browser's `storageKey` is this user's `key`. */
  isKey(storageKey: string, key: string): boolean {
    return storageKey === this.#prefix + key
  }
}

function attempt<T>(step: () => T): T | undefined {
  try {
    return step()
  } catch {
    // Denied, full, or not JSON: the same as no value.
    return undefined
  }
}
