// Keep: what the page keeps in this browser, over reloads. Where the browser denies it, or has no room, nothing is
// kept and nothing breaks: who writes is told. What belongs to one person is kept under their own name.

/** As the browser has it; less of it where a test does. */
export type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>

export class Keep {
  readonly #storage: Storage | undefined
  readonly #owner: string

  /**
   * @param open reaches for the storage, which browsers may refuse with a throw
   * @param subject whose it is; '' where nobody is told apart
   */
  constructor(open: () => Storage, subject = '') {
    this.#storage = attempt(open)
    this.#owner = subject === '' ? '' : `${subject}\n`
  }

  /** @returns undefined when there is none; what is no JSON counts as none */
  read(key: string): unknown {
    return attempt(() => {
      const text = this.#storage?.getItem(this.#owner + key) ?? undefined
      return text === undefined ? undefined : (JSON.parse(text) as unknown)
    })
  }

  /** @param value undefined: nothing is kept any more @returns whether it is kept */
  write(key: string, value: unknown): boolean {
    if (this.#storage === undefined) return value === undefined
    const storage = this.#storage
    const done = attempt(() => {
      if (value === undefined) storage.removeItem(this.#owner + key)
      else storage.setItem(this.#owner + key, JSON.stringify(value))
      return true
    })
    return done === true
  }

  /** The keys that begin so. */
  keys(prefix: string): readonly string[] {
    const storage = this.#storage
    if (storage === undefined) return []
    const keys = Array.from({ length: storage.length }, (_, at) => storage.key(at) ?? '')
    const own = keys.filter((key) => key.startsWith(this.#owner + prefix))
    return own.map((key) => key.slice(this.#owner.length))
  }

  /** Whether what the browser calls so is what is called `key` here. */
  isKey(named: string, key: string): boolean {
    return named === this.#owner + key
  }
}

function attempt<T>(step: () => T): T | undefined {
  try {
    return step()
  } catch {
    // Denied, full, or not ours: as if there were none.
    return undefined
  }
}
