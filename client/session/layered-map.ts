// LayeredMap: an immutable map for a few hot keys among many that no longer change. A write copies only a small layer,
// which is merged into the base when it has grown, so that a token does not copy the history.

const LAYER_MAX = 16

export class LayeredMap<K, V> implements ReadonlyMap<K, V> {
  readonly #base: ReadonlyMap<K, V>
  readonly #layer: ReadonlyMap<K, V>
  readonly size: number

  private constructor(base: ReadonlyMap<K, V>, layer: ReadonlyMap<K, V>, size: number) {
    this.#base = base
    this.#layer = layer
    this.size = size
  }

  static empty<K, V>(): LayeredMap<K, V> {
    return new LayeredMap(new Map<K, V>(), new Map<K, V>(), 0)
  }

  /** A copy with this one change. A new key comes last. */
  with(key: K, value: V): LayeredMap<K, V> {
    const size = this.has(key) ? this.size : this.size + 1
    const layer = new Map(this.#layer).set(key, value)
    if (layer.size <= LAYER_MAX) return new LayeredMap(this.#base, layer, size)
    return new LayeredMap(merged(this.#base, layer), new Map<K, V>(), size)
  }

  get(key: K): V | undefined {
    return this.#layer.has(key) ? this.#layer.get(key) : this.#base.get(key)
  }

  has(key: K): boolean {
    return this.#layer.has(key) || this.#base.has(key)
  }

  entries(): MapIterator<[K, V]> {
    return merged(this.#base, this.#layer).entries()
  }

  keys(): MapIterator<K> {
    return merged(this.#base, this.#layer).keys()
  }

  values(): MapIterator<V> {
    return merged(this.#base, this.#layer).values()
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }

  forEach(callback: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this) callback(value, key, this)
  }
}

function merged<K, V>(base: ReadonlyMap<K, V>, layer: ReadonlyMap<K, V>): Map<K, V> {
  const all = new Map(base)
  for (const [key, value] of layer) all.set(key, value)
  return all
}
