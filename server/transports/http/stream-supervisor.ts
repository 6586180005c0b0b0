// StreamSupervisor: looks after the open streams. It sends heartbeats on idle streams, keeps uWS from closing slow ones too
// early, and closes the ones that have stalled for too long.
import type { ResponseStream } from './http-stream.ts'

export interface StreamSupervisorOptions {
  /** Milliseconds after which a stream is closed if its client accepts no data. */
  readonly stallMs: number
  /** A stream gets a heartbeat before it was silent for this many milliseconds. */
  readonly heartbeatMs: number
}

/** Well below the 10 s after which uWS closes a slow connection. */
const KEEP_ALIVE_MS = 4_000
const GROUPS = 4
const WATCH_MS = 1_000

export class StreamSupervisor {
  readonly #options: StreamSupervisorOptions
  /** The timer visits one group at a time: all streams at once would block the event loop. */
  readonly #groups = Array.from({ length: GROUPS }, () => new Set<ResponseStream>())
  #size = 0
  #group = 0
  readonly #slow = new Set<ResponseStream>()
  /** Milliseconds between two visits of a stream. */
  readonly #visitMs: number
  #heartbeatTimer: NodeJS.Timeout | undefined
  #stallTimer: NodeJS.Timeout | undefined

  constructor(options: StreamSupervisorOptions) {
    this.#options = options
    this.#visitMs = Math.min(KEEP_ALIVE_MS, options.heartbeatMs / 3)
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
    const smallest = this.#groups.reduce((least, group) => (group.size < least.size ? group : least))
    smallest.add(stream)
    this.#size += 1
    this.#heartbeatTimer ??= setInterval(() => this.#visitGroup(), this.#visitMs / GROUPS)
  }

  congested(stream: ResponseStream): void {
    this.#slow.add(stream)
    this.#stallTimer ??= setInterval(() => this.#checkStalled(), Math.min(WATCH_MS, this.#options.stallMs / 2))
  }

  closed(stream: ResponseStream): void {
    if (this.#groups.some((group) => group.delete(stream))) this.#size -= 1
    this.#slow.delete(stream)
    if (this.#slow.size === 0) this.#stallTimer = stopped(this.#stallTimer)
    if (this.#size === 0) this.#heartbeatTimer = stopped(this.#heartbeatTimer)
  }

  close(): void {
    this.#stallTimer = stopped(this.#stallTimer)
    this.#heartbeatTimer = stopped(this.#heartbeatTimer)
  }

  #visitGroup(): void {
    const now = performance.now()
    this.#group = (this.#group + 1) % GROUPS
    for (const stream of this.#groups[this.#group] ?? []) {
      // Before the limit would be exceeded, not after it.
      stream.heartbeat(now, this.#options.heartbeatMs - this.#visitMs)
      stream.resetTimeout()
    }
  }

  #checkStalled(): void {
    const now = performance.now()
    for (const stream of this.#slow) {
      const stalled = stream.stalledMs(now)
      if (stalled > this.#options.stallMs) stream.abort()
      else if (stalled === 0) this.#slow.delete(stream)
    }
    if (this.#slow.size === 0) this.#stallTimer = stopped(this.#stallTimer)
  }
}

function stopped(timer: NodeJS.Timeout | undefined): undefined {
  clearInterval(timer)
  return undefined
}
