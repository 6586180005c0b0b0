// Owned: the collections that a batch of entries has copied already, and which it may change in place, because nobody has
// seen them yet. Copying a long session's messages for each of its entries would take quadratic time.
export type Owned = Set<object>

/** @param owned omitted: the list is copied */
export function withItem<T>(list: readonly T[], item: T, owned?: Owned): readonly T[] {
  if (owned?.has(list)) {
    ;(list as T[]).push(item)
    return list
  }
  const copy = [...list, item]
  owned?.add(copy)
  return copy
}

/** @param owned omitted: the map is copied */
export function withEntry<K, V>(map: ReadonlyMap<K, V>, key: K, value: V, owned?: Owned): ReadonlyMap<K, V> {
  if (owned?.has(map)) {
    ;(map as Map<K, V>).set(key, value)
    return map
  }
  const copy = new Map(map).set(key, value)
  owned?.add(copy)
  return copy
}
