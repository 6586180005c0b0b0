// StreamKeeper: looks after the streams that are open. Gives those that are idle a sign of life, keeps uWS from cutting
// those that are slow before their time is over, and cuts them when it is.
import type { ResponseStream } from './http-stream.ts'

export interface StreamKeeperOptions {
  /** Milliseconds for which a client may take nothing of what waits for it. */
  readonly stallMs: number
  /** Milliseconds after which a stream on which nothing was sent gets a sign of life. */
  readonly heartbeatMs: number
}

/** Well below the 10 s that uWS allows. */
const POKE_MS = 4_000
const PARTS = 4
const WATCH_MS = 1_000

export class StreamKeeper {
  readonly #options: StreamKeeperOptions
  /** In parts, looked after in turn: so many at once would hold up the loop. */
  readonly #parts = Array.from({ length: PARTS }, () => new Set<ResponseStream>())
  #size = 0
  #turn = 0
  readonly #slow = new Set<ResponseStream>()
  #beating: NodeJS.Timeout | undefined
  #watching: NodeJS.Timeout | undefined

  constructor(options: StreamKeeperOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#size
  }

  get unsentBytes(): number {
    let bytes = 0
    for (const stream of this.#slow) bytes += stream.unsentBytes
    return bytes
  }

  open(stream: ResponseStream): void {
    const smallest = this.#parts.reduce((least, part) => (part.size < least.size ? part : least))
    smallest.add(stream)
    this.#size += 1
    this.#beating ??= setInterval(() => this.#beat(), Math.min(POKE_MS, this.#options.heartbeatMs / 3) / PARTS)
  }

  slow(stream: ResponseStream): void {
    this.#slow.add(stream)
    this.#watching ??= setInterval(() => this.#watch(), Math.min(WATCH_MS, this.#options.stallMs / 2))
  }

  closed(stream: ResponseStream): void {
    if (this.#parts.some((part) => part.delete(stream))) this.#size -= 1
    this.#slow.delete(stream)
    if (this.#slow.size === 0) this.#watching = stopped(this.#watching)
    if (this.#size === 0) this.#beating = stopped(this.#beating)
  }

  close(): void {
    this.#watching = stopped(this.#watching)
    this.#beating = stopped(this.#beating)
  }

  #beat(): void {
    const now = performance.now()
    this.#turn = (this.#turn + 1) % PARTS
    for (const stream of this.#parts[this.#turn] ?? []) {
      stream.beat(now, this.#options.heartbeatMs)
      stream.poke()
    }
  }

  #watch(): void {
    const now = performance.now()
    for (const stream of this.#slow) {
      const stalled = stream.stalledMs(now)
      if (stalled > this.#options.stallMs) stream.cut()
      else if (stalled === 0) this.#slow.delete(stream)
    }
    if (this.#slow.size === 0) this.#watching = stopped(this.#watching)
  }
}

function stopped(timer: NodeJS.Timeout | undefined): undefined {
  clearInterval(timer)
  return undefined
}
