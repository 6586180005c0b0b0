// RelayStream: one response of a provider. It keeps the bytes from the beginning, so that the next owner of the run can read them
// again, and follows them for its readers. It holds the provider back when its bytes reach a limit; it never drops bytes that
// somebody still has to read.
import {
  CLOSED,
  DATA,
  END,
  FAULT,
  framePrefix,
  HEAD,
  jsonFrame,
  type RelayFault,
  type RelayHead,
} from './relay-frame.ts'

/** Where a reader's frames go. */
export interface RelaySink {
  /** @returns whether the sink accepts more now; otherwise it calls `RelayReader.drained` later */
  write(parts: readonly Buffer[]): boolean
  end(): void
}

/** What a stream reads from: the request to the provider. */
export interface RelaySource {
  pause(): void
  resume(): void
  /** Closes the connection to the provider. Idempotent. */
  abort(): void
}

/** The bytes that all streams of a relay keep. */
export class RelayBytes {
  readonly max: number
  #used = 0
  readonly #waiting = new Set<() => void>()

  constructor(max: number) {
    this.max = max
  }

  get used(): number {
    return this.#used
  }

  get isFull(): boolean {
    return this.#used >= this.max
  }

  add(bytes: number): void {
    this.#used += bytes
    if (bytes >= 0 || this.isFull) return
    for (const wake of [...this.#waiting]) wake()
  }

  /** Calls `wake` whenever bytes become free, until it is removed. */
  wait(wake: () => void): void {
    this.#waiting.add(wake)
  }

  stopWaiting(wake: () => void): void {
    this.#waiting.delete(wake)
  }
}

export interface RelayStreamOptions {
  readonly key: string
  readonly source: RelaySource
  readonly bytes: RelayBytes
  /** Bytes of the body that are kept; more hold the provider back until a reader has taken the first ones. */
  readonly maxBytes: number
  /** Milliseconds without a reader after which the stream is over. */
  readonly orphanMs: number
  /** The stream is over: nobody can read it. Called once. */
  readonly onGone: (reason: 'released' | 'orphaned' | 'unread' | 'closed') => void
}

export interface RelayReader {
  /** The sink accepts data again. */
  drained(): void
  /** The reader is gone. Idempotent. */
  close(): void
}

interface Reader {
  /** Bytes of the body that the reader has got. */
  offset: number
  hasHead: boolean
  isBlocked: boolean
  readonly sink: RelaySink
}

export class RelayStream {
  readonly key: string
  readonly #options: RelayStreamOptions
  readonly #readers = new Set<Reader>()
  #head: Buffer | undefined
  #status: number | undefined
  #chunks: Buffer[] = []
  /** The offset in the body of the first byte that is kept. */
  #start = 0
  #end = 0
  /** The last frame, once the body is complete or has failed. */
  #last: Buffer | undefined
  #isPaused = false
  #isGone = false
  #orphanTimer: NodeJS.Timeout | undefined
  /** The highest attempt of the run among the readers. Lower ones cannot release the stream. */
  #attempt: number
  readonly #wake = () => this.#resumeIfPossible()

  constructor(options: RelayStreamOptions, attempt: number) {
    this.key = options.key
    this.#options = options
    this.#attempt = attempt
    this.#limitOrphan()
  }

  get hasReaders(): boolean {
    return this.#readers.size > 0
  }

  /** The provider refused the request, or failed before its response. */
  get isRefused(): boolean {
    return this.#status === undefined ? this.isComplete : this.#status >= 400
  }

  get isComplete(): boolean {
    return this.#last !== undefined
  }

  /** The offset from which the body can be read. */
  get start(): number {
    return this.#start
  }

  get end(): number {
    return this.#end
  }

  head(head: RelayHead): void {
    this.#status = head.status
    this.#head = jsonFrame(HEAD, head)
    this.#deliver()
  }

  push(chunk: Buffer): void {
    if (this.#isGone || chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#end += chunk.length
    this.#options.bytes.add(chunk.length)
    this.#deliver()
    this.#pauseIfFull()
  }

  finish(): void {
    this.#last ??= framePrefix(END, 0)
    this.#deliver()
  }

  fail(fault: RelayFault): void {
    this.#last ??= jsonFrame(FAULT, fault)
    this.#deliver()
  }

  /** @param offset between `start` and `end` */
  read(sink: RelaySink, offset: number, attempt: number): RelayReader {
    const reader: Reader = { offset, hasHead: false, isBlocked: false, sink }
    this.#attempt = Math.max(this.#attempt, attempt)
    this.#readers.add(reader)
    clearTimeout(this.#orphanTimer)
    this.#deliverTo(reader)
    this.#resumeIfPossible()
    return {
      drained: () => {
        reader.isBlocked = false
        this.#deliverTo(reader)
        this.#resumeIfPossible()
      },
      close: () => {
        if (!this.#readers.delete(reader)) return
        this.#limitOrphan()
        this.#resumeIfPossible()
      },
    }
  }

  /**
   * The owner no longer needs the stream. An owner that was replaced meanwhile cannot close the stream of its successor.
   * @returns whether the stream is over
   */
  release(attempt: number): boolean {
    if (attempt < this.#attempt) return false
    this.#over('released')
    return true
  }

  close(): void {
    this.#over('closed')
  }

  #over(reason: 'released' | 'orphaned' | 'unread' | 'closed'): void {
    if (this.#isGone) return
    this.fail(CLOSED)
    this.#isGone = true
    clearTimeout(this.#orphanTimer)
    const { bytes, source, onGone } = this.#options
    bytes.stopWaiting(this.#wake)
    source.abort()
    bytes.add(this.#start - this.#end)
    this.#chunks = []
    for (const { sink } of this.#readers) sink.end()
    this.#readers.clear()
    onGone(reason)
  }

  #limitOrphan(): void {
    if (this.#isGone || this.#readers.size > 0) return
    clearTimeout(this.#orphanTimer)
    this.#orphanTimer = setTimeout(() => this.#over(this.isComplete ? 'unread' : 'orphaned'), this.#options.orphanMs)
  }

  #deliver(): void {
    for (const reader of this.#readers) this.#deliverTo(reader)
  }

  #deliverTo(reader: Reader): void {
    if (reader.isBlocked || this.#isGone) return
    const parts: Buffer[] = []
    if (!reader.hasHead && this.#head !== undefined) {
      reader.hasHead = true
      parts.push(this.#head)
    }
    if (reader.hasHead && reader.offset < this.#end) {
      parts.push(framePrefix(DATA, this.#end - reader.offset), ...this.#bytesFrom(reader.offset))
      reader.offset = this.#end
    }
    if (this.#last !== undefined) parts.push(this.#last)
    if (parts.length === 0) return
    reader.isBlocked = !reader.sink.write(parts)
    if (this.#last === undefined) return
    this.#readers.delete(reader)
    reader.sink.end()
    this.#limitOrphan()
  }

  #bytesFrom(offset: number): Buffer[] {
    // Usually, a reader lacks only the last chunk.
    let first = this.#chunks.length
    let from = this.#end
    while (first > 0 && from > offset) {
      first -= 1
      from -= (this.#chunks[first] as Buffer).length
    }
    const chunks = this.#chunks.slice(first)
    if (from < offset && chunks[0] !== undefined) chunks[0] = chunks[0].subarray(offset - from)
    return chunks
  }

  get #isFull(): boolean {
    return this.#end - this.#start >= this.#options.maxBytes || this.#options.bytes.isFull
  }

  #pauseIfFull(): void {
    if (!this.#isFull) return
    this.#trim()
    if (this.#isPaused || !this.#isFull) return
    this.#isPaused = true
    this.#options.source.pause()
    this.#options.bytes.wait(this.#wake)
  }

  #resumeIfPossible(): void {
    if (!this.#isPaused || this.#isGone) return
    if (this.#isFull) this.#trim()
    if (this.#isFull) return
    this.#isPaused = false
    this.#options.bytes.stopWaiting(this.#wake)
    this.#options.source.resume()
  }

  /** Drops what all readers have. Afterwards, the stream cannot be read from its beginning. */
  #trim(): void {
    const offsets = [...this.#readers].filter(({ isBlocked }) => !isBlocked).map(({ offset }) => offset)
    if (offsets.length === 0 || offsets.length < this.#readers.size) return
    const upTo = Math.min(...offsets)
    let dropped = 0
    while (this.#chunks[dropped] !== undefined && this.#start + (this.#chunks[dropped] as Buffer).length <= upTo) {
      this.#start += (this.#chunks[dropped] as Buffer).length
      this.#options.bytes.add(-(this.#chunks[dropped] as Buffer).length)
      dropped += 1
    }
    this.#chunks = this.#chunks.slice(dropped)
  }
}
