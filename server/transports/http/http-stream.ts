// HttpStream: an answer that goes on and on. Its bound is on bytes that are unsent: those that uWS holds and those
// queued here. uWS says of a write only whether bytes were left over, and never how many: so after one that left some,
// nothing more is given to it until a write of next to nothing shows that all are gone.
//
//   flowing ──(a write left bytes)──► congested ──(the filler goes through)──► flowing        any ──► closed
import type { HttpResponse } from 'uWebSockets.js'
import { asBytes } from '../feed/entry-message.ts'
import type { Flushable, OutboxFlusher } from '../feed/outbox-flusher.ts'

export interface HttpStream {
  /** So much is unsent that nothing but what is small should be written. */
  readonly full: boolean
  readonly unsentBytes: number
  readonly closed: boolean
  /** What is written in one turn goes out as one. A no-op when closed. */
  write(chunk: string | Uint8Array): void
  /** Resolves when there is room for a batch; with false when it is closed. */
  room(): Promise<boolean>
  /** Called once when it is closed, whoever did it; at once if it is. */
  onClose(listener: () => void): void
  end(): void
  /** Cuts the connection: what was sent ends in the midst, and a client knows that it is to come back. */
  cut(): void
}

export interface StreamPorts {
  /** Bytes unsent above which a stream is full. */
  readonly outboxBytes: number
  readonly flush: OutboxFlusher
  /** Bytes wait for the socket: it is to be looked after until they are gone. */
  congested(stream: ResponseStream): void
  /** It has ended; the response must not be touched any more. */
  ended(stream: ResponseStream): void
}

/** For a client that is not there to read it. */
export const CLOSED_STREAM: HttpStream = {
  full: false,
  unsentBytes: 0,
  closed: true,
  write: () => undefined,
  room: async () => false,
  onClose: (listener) => listener(),
  end: () => undefined,
  cut: () => undefined,
}

export class ResponseStream implements HttpStream, Flushable {
  readonly #ports: StreamPorts
  readonly #response: HttpResponse
  /** Goes out with the first chunk. */
  #head: (() => void) | undefined
  /** A chunk that means nothing to its reader: keeps the way open, and finds out whether bytes are held back. */
  readonly #filler: string
  #queue: (string | Uint8Array)[] = []
  /** Of text, its UTF-16 code units: to count its bytes would cost more than the bound is worth. */
  #queuedBytes = 0
  /** Given to uWS since its buffer was last known to be empty. */
  #givenBytes = 0
  /** Written while it was full. */
  #excess = 0
  #congested = false
  /** Now or before: uWS counts the time since. */
  #wasCongested = false
  #progressAt = 0
  #writtenAt = performance.now()
  #marked = false
  #closed = false
  #waiting: ((room: boolean) => void)[] = []
  #listeners: (() => void)[] = []

  /** @param head writes the status and the headers @param filler not empty */
  constructor(response: HttpResponse, head: () => void, filler: string, ports: StreamPorts) {
    this.#response = response
    this.#head = head
    this.#filler = filler
    this.#ports = ports
    response.onWritable(() => {
      this.#writable()
      return true
    })
    // Proxies and clients are to see at once that there is somebody.
    this.write(filler)
  }

  get closed(): boolean {
    return this.#closed
  }

  get unsentBytes(): number {
    return this.#queuedBytes + (this.#congested ? this.#givenBytes : 0)
  }

  get full(): boolean {
    return this.unsentBytes > this.#ports.outboxBytes
  }

  /** Milliseconds for which bytes have waited without any leaving; 0 when none wait. */
  stalledMs(now: number): number {
    return this.#congested ? now - this.#progressAt : 0
  }

  write(chunk: string | Uint8Array): void {
    if (this.#closed) return
    // Nothing large is written to a stream that is full; who is sent little, but never takes it, would still add up.
    this.#excess = this.full ? this.#excess + chunk.length : 0
    if (this.#excess > this.#ports.outboxBytes) {
      this.cut()
      return
    }
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (this.#marked) return
    this.#marked = true
    this.#ports.flush.mark(this)
  }

  async room(): Promise<boolean> {
    if (this.#closed) return false
    if (this.unsentBytes <= this.#ports.outboxBytes / 2) return true
    return new Promise<boolean>((resolve) => this.#waiting.push(resolve))
  }

  onClose(listener: () => void): void {
    if (this.#closed) listener()
    else this.#listeners.push(listener)
  }

  end(): void {
    if (this.#closed) return
    const rest = this.#take()
    this.#response.cork(() => {
      this.#writeHead()
      if (rest !== undefined) this.#response.write(rest)
      this.#response.end(undefined, this.#wasCongested)
    })
    this.left()
    this.#ports.ended(this)
  }

  cut(): void {
    if (!this.#closed) this.#response.close()
  }

  /** The response must not be touched any more. */
  left(): void {
    if (this.#closed) return
    this.#closed = true
    this.#congested = false
    this.#queue = []
    this.#queuedBytes = 0
    const waiting = this.#waiting
    const listeners = this.#listeners
    this.#waiting = []
    this.#listeners = []
    for (const tell of waiting) tell(false)
    for (const tell of listeners) tell()
  }

  flush(): void {
    this.#marked = false
    if (this.#closed) return
    if (this.#congested) return
    const chunk = this.#take()
    if (chunk !== undefined) this.#give(chunk)
    this.#wake()
  }

  /** Writes the filler if nothing else was written for so long. */
  beat(now: number, ms: number): void {
    if (!this.#closed && !this.#congested && now - this.#writtenAt >= ms) this.write(this.#filler)
  }

  /**
   * After a write that left bytes over, uWS cuts the connection within 10 s unless it becomes writable, though the kernel may
   * have taken the rest with a later write. How long that may take is for us to say: `resume` begins uWS's count anew. It
   * also stops watching for the socket to be writable, and so a write has to follow. What it costs: uWS may read nothing more
   * from a connection that it was called for, so it is called where bytes were left over, and none of those is used again.
   */
  poke(): void {
    if (this.#closed || !this.#wasCongested) return
    this.#response.resume()
    if (!this.#congested) {
      this.#response.cork(() => undefined)
      return
    }
    let passed = false
    this.#response.cork(() => {
      passed = this.#response.write(this.#filler)
    })
    if (passed) this.#drained()
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

  #give(chunk: Uint8Array): void {
    this.#writtenAt = performance.now()
    let passed = true
    this.#response.cork(() => {
      this.#writeHead()
      passed = this.#response.write(chunk)
    })
    // Everything before this chunk is gone; of the chunk itself uWS may hold a part.
    this.#givenBytes = passed ? chunk.length : this.#givenBytes + chunk.length
    if (passed) return
    this.#congested = true
    this.#wasCongested = true
    this.#progressAt = this.#writtenAt
    this.#ports.congested(this)
  }

  /** The kernel takes bytes again. uWS gives it what is held back with our next write, and not by itself. */
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
    for (const tell of waiting) tell(true)
  }
}

function joined(chunks: readonly (string | Uint8Array)[]): Uint8Array {
  if (chunks.every((chunk) => typeof chunk === 'string')) return asBytes(chunks.join(''))
  return Buffer.concat(chunks.map(asBytes))
}
