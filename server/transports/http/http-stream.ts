// HttpStream: a streamed answer. The limit applies to unsent bytes: those in uWS's buffer and those queued here. A write
// to uWS reports only whether bytes were buffered, not how many. So after such a write, uWS gets no more data until a
// write of the tiny filler shows that its buffer is empty.
//
//   flowing ──(a write was buffered)──► congested ──(the filler was sent)──► flowing        any ──► closed
import { asBytes } from '../feed/entry-message.ts'
import type { Flushable, OutboxFlusher } from '../feed/outbox-flusher.ts'
import type { HttpResponse } from '../uws.ts'

export interface HttpStream {
  /** Whether the limit is exceeded: only small chunks should be written. */
  readonly full: boolean
  readonly unsentBytes: number
  readonly closed: boolean
  /** All chunks of one event-loop turn are sent together. A no-op when closed. */
  write(chunk: string | Uint8Array): void
  /** Resolves with true when there is room for a batch, with false when it is closed. */
  whenWritable(): Promise<boolean>
  /** Calls back once when it is closed by either side; at once if it already is. */
  onClose(listener: () => void): void
  /** Sends a heartbeat before it was silent for `ms` milliseconds, if that is earlier than the server's own interval. */
  heartbeatWithin(ms: number): void
  /** A clean end tells the client that the answer is complete. */
  end(): void
  /**
   * Closes the connection without ending the answer, so that the client knows that the answer is incomplete. Sends what was
   * written before, unless the client is slow.
   */
  abort(): void
}

export interface StreamPorts {
  /** Limit of unsent bytes. */
  readonly outboxBytes: number
  readonly flush: OutboxFlusher
  /** Called when bytes wait for the socket: the stream must be supervised until they are sent. */
  congested(stream: ResponseStream): void
  /** Called when it has ended: the response must not be used again. */
  ended(stream: ResponseStream): void
}

/** For a client that cannot read the answer. */
export const CLOSED_STREAM: HttpStream = {
  full: false,
  unsentBytes: 0,
  closed: true,
  write: () => undefined,
  whenWritable: async () => false,
  onClose: (listener) => listener(),
  heartbeatWithin: () => undefined,
  end: () => undefined,
  abort: () => undefined,
}

export class ResponseStream implements HttpStream, Flushable {
  readonly #ports: StreamPorts
  readonly #response: HttpResponse
  /** Sent with the first chunk. */
  #head: (() => void) | undefined
  /**
   * A chunk without meaning to the client: serves as heartbeat, and shows whether uWS has buffered bytes. It also follows
   * each write, because uWS sends the line break that ends a chunk only with the next chunk. Clients that read whole chunks,
   * such as Python's requests and everything behind Varnish, would get each event with the next one.
   */
  readonly #filler: Uint8Array
  #queue: (string | Uint8Array)[] = []
  /** For text the number of UTF-16 code units, because counting its bytes is too expensive for a limit. */
  #queuedBytes = 0
  /** Bytes written to uWS since its buffer was last known to be empty. */
  #writtenBytes = 0
  /** Bytes written while it was full. */
  #excessBytes = 0
  #congested = false
  /** Whether it is or ever was congested: uWS's timeout runs since then. */
  #wasCongested = false
  #progressAt = 0
  #writtenAt = performance.now()
  #flushScheduled = false
  #closed = false
  /** Whether it closes after sending what was written. */
  #isAborting = false
  #waiting: ((room: boolean) => void)[] = []
  #listeners: (() => void)[] = []

  /** @param head writes the status and the headers @param filler not empty */
  constructor(response: HttpResponse, head: () => void, filler: Uint8Array, ports: StreamPorts) {
    this.#response = response
    this.#head = head
    this.#filler = filler
    this.#ports = ports
    response.onWritable(() => {
      this.#writable()
      return true
    })
    // Proxies and clients see the head at once.
    this.write(filler)
  }

  get closed(): boolean {
    return this.#closed || this.#isAborting
  }

  get unsentBytes(): number {
    return this.#queuedBytes + (this.#congested ? this.#writtenBytes : 0)
  }

  get full(): boolean {
    return this.unsentBytes > this.#ports.outboxBytes
  }

  /** Milliseconds since the client last accepted data; 0 if no bytes wait. */
  stalledMs(now: number): number {
    return this.#congested ? now - this.#progressAt : 0
  }

  write(chunk: string | Uint8Array): void {
    if (this.closed) return
    // Writers send only small chunks to a full stream, and a client that never reads would still accumulate them.
    this.#excessBytes = this.full ? this.#excessBytes + chunk.length : 0
    if (this.#excessBytes > this.#ports.outboxBytes) {
      this.abort()
      return
    }
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    this.#ports.flush.schedule(this)
  }

  async whenWritable(): Promise<boolean> {
    if (this.closed) return false
    if (this.unsentBytes <= this.#ports.outboxBytes / 2) return true
    return new Promise<boolean>((resolve) => this.#waiting.push(resolve))
  }

  onClose(listener: () => void): void {
    if (this.#closed) listener()
    else this.#listeners.push(listener)
  }

  heartbeatWithin(ms: number): void {
    const timer = setInterval(() => this.heartbeat(performance.now(), ms / 2), ms / 2)
    this.onClose(() => clearInterval(timer))
  }

  end(): void {
    if (this.closed) return
    const rest = this.#take()
    this.#response.cork(() => {
      this.#writeHead()
      if (rest !== undefined) this.#response.write(rest)
      this.#response.end(undefined, this.#wasCongested)
    })
    this.detach()
    this.#ports.ended(this)
  }

  abort(): void {
    if (this.closed) return
    if (this.#congested || this.#queue.length === 0) {
      this.#response.close()
      return
    }
    this.#isAborting = true
    // Not at once: uWS may be about to send what this turn wrote, and would discard it.
    setImmediate(() => {
      this.flush()
      if (!this.#closed) this.#response.close()
    })
  }

  /** Call when uWS has freed the response, which must not be used again. */
  detach(): void {
    if (this.#closed) return
    this.#closed = true
    this.#congested = false
    this.#queue = []
    this.#queuedBytes = 0
    const waiting = this.#waiting
    const listeners = this.#listeners
    this.#waiting = []
    this.#listeners = []
    for (const resolve of waiting) resolve(false)
    for (const listener of listeners) listener()
  }

  flush(): void {
    this.#flushScheduled = false
    if (this.#closed || this.#congested) return
    const chunk = this.#take()
    if (chunk !== undefined) this.#send(chunk)
    this.#wake()
  }

  /** Writes the filler if nothing else was written for `ms` milliseconds. */
  heartbeat(now: number, ms: number): void {
    if (!this.#closed && !this.#congested && now - this.#writtenAt >= ms) this.write(this.#filler)
  }

  /**
   * After a write that was buffered, uWS closes the connection within 10 s unless the socket becomes writable, even if the
   * kernel took the rest with a later write. `resume` restarts uWS's timeout, so that `stallMs` decides instead. It also
   * stops waiting for the socket to be writable, so a write must follow. After it, uWS may not read from the connection
   * again: so it is called only for streams that were congested, and their connections are closed at the end.
   */
  resetTimeout(): void {
    if (this.#closed || !this.#wasCongested) return
    this.#response.resume()
    if (!this.#congested) {
      this.#response.cork(() => undefined)
      return
    }
    let isSent = false
    this.#response.cork(() => {
      isSent = this.#response.write(this.#filler)
    })
    if (isSent) this.#drained()
  }

  #writeHead(): void {
    this.#head?.()
    this.#head = undefined
  }

  #take(): Uint8Array | undefined {
    const queue = this.#queue
    if (queue.length === 0) return undefined
    this.#queue = []
    this.#queuedBytes = 0
    const [only] = queue
    return queue.length === 1 && only !== undefined ? asBytes(only) : joined(queue)
  }

  #send(chunk: Uint8Array): void {
    this.#writtenAt = performance.now()
    let isSent = true
    this.#response.cork(() => {
      this.#writeHead()
      isSent = this.#response.write(chunk)
      if (isSent && chunk !== this.#filler) isSent = this.#response.write(this.#filler)
    })
    // If it was sent, all earlier chunks were sent, too; uWS may still hold a part of this one.
    this.#writtenBytes = isSent ? chunk.length : this.#writtenBytes + chunk.length
    if (isSent) return
    this.#congested = true
    this.#wasCongested = true
    this.#progressAt = this.#writtenAt
    this.#ports.congested(this)
  }

  /** The kernel accepts data again. uWS sends its buffered bytes only with our next write. */
  #writable(): void {
    if (this.#closed) return
    this.#progressAt = performance.now()
    if (this.#response.write(this.#filler)) this.#drained()
  }

  #drained(): void {
    this.#congested = false
    this.flush()
  }

  #wake(): void {
    if (this.#waiting.length === 0 || this.unsentBytes > this.#ports.outboxBytes / 2) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve(true)
  }
}

function joined(chunks: readonly (string | Uint8Array)[]): Uint8Array {
  if (chunks.every((chunk) => typeof chunk === 'string')) return asBytes(chunks.join(''))
  return Buffer.concat(chunks.map(asBytes))
}
