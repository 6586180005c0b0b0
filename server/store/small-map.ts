// SmallMapField: things by their keys, of which a holder has nearly always one or none, and there are very many holders: then a field
// holds the one itself, and a map only from the second one on. A map with one thing in it takes 200 bytes.

/** What such a field holds. To be asked and changed through a `SmallMap` only. */
export type SmallMapField<K, T extends object> = T | Map<K, T> | undefined

export class SmallMap<K, T extends object> {
  readonly #keyOf: (item: T) => K

  /** @param keyOf must go on giving the same for an item, which is no `Map` */
  constructor(keyOf: (item: T) => K) {
    this.#keyOf = keyOf
  }

  size(few: SmallMapField<K, T>): number {
    if (few === undefined) return 0
    return few instanceof Map ? few.size : 1
  }

  get(few: SmallMapField<K, T>, key: K): T | undefined {
    if (few === undefined) return undefined
    if (few instanceof Map) return few.get(key)
    return this.#keyOf(few) === key ? few : undefined
  }

  /** In the order in which their keys came. What comes or goes meanwhile is seen as `Map` has it. */
  all(few: SmallMapField<K, T>): Iterable<T> {
    if (few === undefined) return NOTHING
    return few instanceof Map ? few.values() : [few]
  }

  /** @returns what the field is to hold now; another item of the same key is replaced */
  with(few: SmallMapField<K, T>, item: T): SmallMapField<K, T> {
    if (few === undefined) return item
    const key = this.#keyOf(item)
    if (few instanceof Map) return few.set(key, item)
    const other = this.#keyOf(few)
    return other === key ? item : new Map([entryOf(other, few), entryOf(key, item)])
  }

  /** @returns what the field is to hold now */
  without(few: SmallMapField<K, T>, key: K): SmallMapField<K, T> {
    if (few instanceof Map) {
      few.delete(key)
      return few.size === 0 ? undefined : few
    }
    return few !== undefined && this.#keyOf(few) === key ? undefined : few
  }
}

const NOTHING: readonly never[] = []

function entryOf<K, T>(key: K, item: T): [K, T] {
  return [key, item]
}
