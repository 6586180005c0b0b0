// ByteBudget: a limit on bytes of memory that many requests share. A budget may be a part of another one.

export class ByteBudget {
  readonly max: number
  readonly #whole: ByteBudget | undefined
  #used = 0

  /** @param max bytes @param whole counts these bytes, too */
  constructor(max: number, whole?: ByteBudget) {
    this.max = max
    this.#whole = whole
  }

  get used(): number {
    return this.#used
  }

  /** @returns false if that exceeds a limit; then nothing is taken */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.max || this.#whole?.take(bytes) === false) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
    this.#whole?.give(bytes)
  }
}
