// ImpairedPipe: one direction of a connection. It delays or slows bytes and keeps their order. Its buffer is limited;
// above the limit it applies backpressure to the sender.
import type { Socket } from 'node:net'
import type { Impairments } from './impairments.ts'

const MOST_WAITING = 1024 * 1024

export class ImpairedPipe {
  readonly #from: Socket
  readonly #to: Socket
  readonly #impairments: Impairments
  readonly #random: () => number
  readonly #waiting: { readonly chunk: Buffer; readonly due: number }[] = []
  #waitingBytes = 0
  #lastDue = 0
  #heldUntil = 0
  #timer: NodeJS.Timeout | undefined
  #ended = false

  constructor(from: Socket, to: Socket, impairments: Impairments, random: () => number) {
    this.#from = from
    this.#to = to
    this.#impairments = impairments
    this.#random = random
    from.on('data', (chunk: Buffer) => this.#take(chunk))
    from.on('end', () => {
      this.#ended = true
      this.#flush()
    })
    to.on('drain', () => this.#flush())
  }

  /** Blocks the direction for this long; forever with Infinity. */
  hold(forMs: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, performance.now() + forMs)
    this.#flush()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#waiting.length = 0
  }

  #take(chunk: Buffer): void {
    const { latencyMs, jitterMs, bandwidth } = this.#impairments
    const now = performance.now()
    const carried = bandwidth === undefined ? 0 : (chunk.length / bandwidth) * 1000
    // Chunks keep their order, and occupy the line for their transmission time.
    const due = Math.max(now + latencyMs + jitterMs * this.#random(), this.#lastDue) + carried
    this.#lastDue = due
    this.#waiting.push({ chunk, due })
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes > MOST_WAITING) this.#from.pause()
    this.#flush()
  }

  #flush(): void {
    clearTimeout(this.#timer)
    const now = performance.now()
    let first = this.#waiting[0]
    while (first !== undefined && Math.max(first.due, this.#heldUntil) <= now && !this.#to.writableNeedDrain) {
      this.#waiting.shift()
      this.#waitingBytes -= first.chunk.length
      if (!this.#to.destroyed) this.#to.write(first.chunk)
      first = this.#waiting[0]
    }
    if (this.#waitingBytes <= MOST_WAITING / 2 && this.#from.isPaused()) this.#from.resume()
    if (first === undefined) {
      if (this.#ended && now >= this.#heldUntil) this.#to.end()
      else if (this.#ended && Number.isFinite(this.#heldUntil)) this.#later(this.#heldUntil - now)
      return
    }
    const due = Math.max(first.due, this.#heldUntil)
    if (Number.isFinite(due) && !this.#to.writableNeedDrain) this.#later(due - now)
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => this.#flush(), Math.max(1, ms))
  }
}
