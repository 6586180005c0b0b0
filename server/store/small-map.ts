// SmallMap: keyed items in a field of an object that exists very often and nearly always has zero or one item. The
// field holds a single item directly and creates a `Map` only for the second one, because a `Map` with one item takes
// 200 bytes.

/** The value of such a field. Read and change it only through a `SmallMap`. */
export type SmallMapField<K, T extends object> = T | Map<K, T> | undefined

const EMPTY: readonly never[] = []

export class SmallMap<K, T extends object> {
  readonly #keyOf: (item: T) => K

  /** @param keyOf must always return the same key for an item; an item must not be a `Map` */
  constructor(keyOf: (item: T) => K) {
    this.#keyOf = keyOf
  }

  size(field: SmallMapField<K, T>): number {
    if (field === undefined) return 0
    return field instanceof Map ? field.size : 1
  }

  get(field: SmallMapField<K, T>, key: K): T | undefined {
    if (field === undefined) return undefined
    if (field instanceof Map) return field.get(key)
    return this.#keyOf(field) === key ? field : undefined
  }

  /** All items, in the insertion order of their keys. Changes during the iteration are visible as in a `Map`. */
  all(field: SmallMapField<K, T>): Iterable<T> {
    if (field === undefined) return EMPTY
    return field instanceof Map ? field.values() : [field]
  }

  /** Adds an item, or replaces the one with the same key. @returns the new value of the field */
  with(field: SmallMapField<K, T>, item: T): SmallMapField<K, T> {
    if (field === undefined) return item
    const key = this.#keyOf(item)
    if (field instanceof Map) return field.set(key, item)
    const other = this.#keyOf(field)
    return other === key ? item : new Map<K, T>().set(other, field).set(key, item)
  }

  /** @returns the new value of the field */
  without(field: SmallMapField<K, T>, key: K): SmallMapField<K, T> {
    if (field instanceof Map) {
      field.delete(key)
      return field.size === 0 ? undefined : field
    }
    return field !== undefined && this.#keyOf(field) === key ? undefined : field
  }
}
