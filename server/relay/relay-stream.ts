// RelayStream: one response of a provider. It keeps the bytes from the beginning, so that the next owner of the run can read them
// again, and follows them for its readers. It holds the provider back when its bytes reach a limit; it never drops bytes that
// somebody still has to read.
import type { DeliveryRounds } from './delivery-rounds.ts'
import { KeptBytes } from './kept-bytes.ts'
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
  /** Writes the last parts. */
  end(parts: readonly Buffer[]): void
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
  readonly rounds: DeliveryRounds
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
  readonly #kept = new KeptBytes()
  /** The last frame, once the body is complete or has failed. */
  #last: Buffer | undefined
  #isPaused = false
  #isGone = false
  #hasDelivered = false
  readonly #delivery = () => this.#deliver()
  /** The first delivery, or the last one: at the end of this turn of the event loop. */
  #due: NodeJS.Immediate | undefined
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
    return this.#kept.start
  }

  get end(): number {
    return this.#kept.end
  }

  head(head: RelayHead): void {
    this.#status = head.status
    this.#head = jsonFrame(HEAD, head)
    this.#deliverSoon()
  }

  push(chunk: Buffer): void {
    if (this.#isGone || chunk.length === 0) return
    this.#kept.append(chunk)
    this.#options.bytes.add(chunk.length)
    this.#deliverSoon()
    if (!this.#isFull) return
    this.#deliver()
    this.#pauseIfFull()
  }

  finish(): void {
    this.#last ??= framePrefix(END, 0)
    this.#deliverSoon()
  }

  fail(fault: RelayFault): void {
    this.#last ??= jsonFrame(FAULT, fault)
    this.#deliverSoon()
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
    this.#last ??= jsonFrame(FAULT, CLOSED)
    clearImmediate(this.#due)
    this.#options.rounds.remove(this.#delivery)
    this.#deliver()
    this.#isGone = true
    clearTimeout(this.#orphanTimer)
    const { bytes, source, onGone } = this.#options
    bytes.stopWaiting(this.#wake)
    source.abort()
    bytes.add(-this.#kept.trim(this.#kept.end))
    for (const { sink } of this.#readers) sink.end([])
    this.#readers.clear()
    onGone(reason)
  }

  #limitOrphan(): void {
    if (this.#isGone || this.#readers.size > 0) return
    clearTimeout(this.#orphanTimer)
    this.#orphanTimer = setTimeout(() => this.#over(this.isComplete ? 'unread' : 'orphaned'), this.#options.orphanMs)
  }

  #deliverSoon(): void {
    if (this.#isGone) return
    if (this.#hasDelivered && this.#last === undefined) this.#options.rounds.add(this.#delivery)
    else this.#due ??= setImmediate(this.#delivery)
  }

  #deliver(): void {
    this.#due = undefined
    this.#hasDelivered ||= this.#kept.length > 0
    for (const reader of this.#readers) this.#deliverTo(reader)
  }

  #deliverTo(reader: Reader): void {
    if (reader.isBlocked || this.#isGone) return
    const parts: Buffer[] = []
    if (!reader.hasHead && this.#head !== undefined) {
      reader.hasHead = true
      parts.push(this.#head)
    }
    const { end } = this.#kept
    if (reader.hasHead && reader.offset < end) {
      parts.push(framePrefix(DATA, end - reader.offset), ...this.#kept.from(reader.offset))
      reader.offset = end
    }
    if (this.#last === undefined) {
      if (parts.length > 0) reader.isBlocked = !reader.sink.write(parts)
      return
    }
    this.#readers.delete(reader)
    reader.sink.end([...parts, this.#last])
    this.#limitOrphan()
  }

  get #isFull(): boolean {
    return this.#kept.length >= this.#options.maxBytes || this.#options.bytes.isFull
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
    this.#options.bytes.add(-this.#kept.trim(Math.min(...offsets)))
  }
}
