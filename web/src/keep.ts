// Keep: what the page keeps in this browser, over reloads. Where the browser denies it, or has no room, nothing is
// kept and nothing breaks: who writes is told.

/** As the browser has it; less of it where a test does. */
export type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>

export class Keep {
  readonly #storage: Storage | undefined

  /** @param open reaches for the storage, which browsers may refuse with a throw */
  constructor(open: () => Storage) {
    this.#storage = attempt(open)
  }

  /** @returns undefined when there is none; what is no JSON counts as none */
  read(key: string): unknown {
    return attempt(() => {
      const text = this.#storage?.getItem(key) ?? undefined
      return text === undefined ? undefined : (JSON.parse(text) as unknown)
    })
  }

  /** @param value undefined: nothing is kept any more @returns whether it is kept */
  write(key: string, value: unknown): boolean {
    if (this.#storage === undefined) return value === undefined
    const storage = this.#storage
    const done = attempt(() => {
      if (value === undefined) storage.removeItem(key)
      else storage.setItem(key, JSON.stringify(value))
      return true
    })
    return done === true
  }

  /** The keys that begin so. */
  keys(prefix: string): readonly string[] {
    const storage = this.#storage
    if (storage === undefined) return []
    const keys = Array.from({ length: storage.length }, (_, at) => storage.key(at) ?? '')
    return keys.filter((key) => key.startsWith(prefix))
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
