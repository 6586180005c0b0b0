// KeptBytes: the bytes of one response from some offset on. Providers send hundreds of small chunks: they are copied into a few large
// buffers, because each buffer of its own costs more memory and garbage collection than its bytes.

const MIN_SLAB = 1024
const MAX_SLAB = 64 * 1024

export class KeptBytes {
  /** The bytes, in order. All but the last one are full. */
  readonly #slabs: Buffer[] = []
  /** Bytes of the last slab that are in use. */
  #filled = 0
  /** The offset of the first byte that is kept. */
  #start = 0
  #end = 0

  get start(): number {
    return this.#start
  }

  get end(): number {
    return this.#end
  }

  get length(): number {
    return this.#end - this.#start
  }

  append(chunk: Buffer): void {
    const last = this.#slabs.at(-1)
    const copied = last === undefined ? 0 : chunk.copy(last, this.#filled)
    this.#filled += copied
    this.#end += copied
    const rest = chunk.length - copied
    if (rest === 0) return
    // At most half of the memory is unused.
    const slab = Buffer.allocUnsafeSlow(Math.max(rest, Math.min(MAX_SLAB, Math.max(MIN_SLAB, this.length))))
    chunk.copy(slab, 0, copied)
    this.#slabs.push(slab)
    this.#filled = rest
    this.#end += rest
  }

  /** @param offset between `start` and `end` @returns the bytes from there on, which never change */
  from(offset: number): Buffer[] {
    const parts: Buffer[] = []
    let at = this.#end
    // Usually, a reader lacks only the last bytes.
    for (let index = this.#slabs.length - 1; index >= 0 && at > offset; index -= 1) {
      const slab = this.#slabs[index] as Buffer
      const filled = index === this.#slabs.length - 1 ? this.#filled : slab.length
      at -= filled
      parts.unshift(slab.subarray(Math.max(0, offset - at), filled))
    }
    return parts
  }

  /** Drops buffers that end before an offset. @returns the number of bytes dropped */
  trim(upTo: number): number {
    let dropped = 0
    for (;;) {
      const [slab] = this.#slabs
      if (slab === undefined) break
      const filled = this.#slabs.length === 1 ? this.#filled : slab.length
      if (this.#start + filled > upTo) break
      this.#slabs.shift()
      this.#start += filled
      dropped += filled
    }
    return dropped
  }
}
