// Outbox: what one connection has to be sent, in order. Its bound is on bytes that are unsent: those in uWS's
// buffer and those queued here. Entries are not written while it is full (their readers go back to the log);
// replies may pass the bound by a bounded amount. uWS itself never drops a message of ours, because
// nothing is given to it while its buffer is over the bound.
import { type CodecName, codecs, type ErrorCode, type ReplyError, type ServerFrame } from '@parley/protocol'
import { Semaphore } from '../../limit/semaphore.ts'
import { asSent, type MessageData } from '../feed/entry-message.ts'
import type { OutboxFlusher } from '../feed/outbox-flusher.ts'
import type { ReaderSink } from '../feed/reader-ports.ts'

/** The part of a uWS socket that an outbox uses. */
export interface OutboxSocket {
  /** @returns 1 when all went to the kernel, 0 when bytes are buffered, 2 when it was dropped */
  send(data: MessageData, binary: boolean): number
  getBufferedAmount(): number
  cork(write: () => void): unknown
  subscribe(topic: string): unknown
  unsubscribe(topic: string): unknown
}

/** Whose outbox it is. */
export interface OutboxOwner {
  /** Bytes wait for the socket: it is to be watched until they are gone. */
  congested(): void
  /** The client takes none of its replies. */
  overflowed(): void
  /** An error is written. */
  refused(code: ErrorCode): void
}

/** What outboxes share. */
export interface OutboxPorts {
  readonly flush: OutboxFlusher
  /** `outboxBytes`: unsent, above which entries wait; replies may go on for as many again. */
  readonly limits: { readonly outboxBytes: number }
}

/** Replays of one connection that are in memory at once. */
const REPLAYS = 4

/** Nearly always nothing is queued, and nobody waits. Never changed: another list takes its place. */
const NONE: never[] = []

const shared = new WeakMap<ServerFrame, Map<CodecName, MessageData>>()

export class Outbox implements ReaderSink {
  readonly codec: CodecName
  /** There while somebody replays. */
  #replays: Semaphore | undefined
  readonly #socket: OutboxSocket
  readonly #ports: OutboxPorts
  readonly #owner: OutboxOwner
  readonly #bound: number
  readonly #binary: boolean
  /** What is to be sent; nearly always one message, which then lies here alone and not in the queue. */
  #only: MessageData | undefined
  #queue: MessageData[] = NONE
  /** Of text, its UTF-16 code units: to count its bytes would cost more than the bound is worth. */
  #queuedBytes = 0
  /** uWS holds bytes that the kernel did not take. */
  #congested = false
  #replyBytes = 0
  #marked = false
  #closed = false
  #socketGone = false
  /** What was broadcast to it since uWS was last asked what it holds back, and the turn of that. */
  #unseen = 0
  #lookedIn = -1
  #waiting: readonly ((room: boolean) => void)[] = NONE
  #progressAt = 0

  constructor(socket: OutboxSocket, codec: CodecName, ports: OutboxPorts, owner: OutboxOwner) {
    this.codec = codec
    this.#socket = socket
    this.#ports = ports
    this.#owner = owner
    this.#bound = ports.limits.outboxBytes
    this.#binary = codecs[codec].binary
  }

  get replays(): Semaphore {
    this.#replays ??= new Semaphore(REPLAYS, () => {
      if (!this.#closed) this.#replays = undefined
    })
    return this.#replays
  }

  get unsentBytes(): number {
    return this.#queuedBytes + this.#bufferedBytes()
  }

  get full(): boolean {
    // Most sockets keep up: then nothing has to be asked of uWS.
    return (this.#congested || this.#queuedBytes > 0) && this.unsentBytes > this.#bound
  }

  /** `performance.now()` of the last time that bytes left while others had to wait; undefined when none wait. */
  get waitingSince(): number | undefined {
    return this.#congested ? this.#progressAt : undefined
  }

  writeEntries(data: MessageData): void {
    this.#enqueue(data)
  }

  // uWS keeps the order: a send to a socket first gives it what was published to it before. How much of that it could not
  // pass on is asked now and then, but not in the turn of the last time: what was published in a turn is not in its buffer yet.
  takesBroadcast(bytes: number): boolean {
    if (this.#queuedBytes > 0) this.flush()
    if (this.#closed || this.#congested || this.#queuedBytes > 0) return false
    this.#unseen += bytes
    if (this.#unseen <= this.#bound / 4) return true
    const turn = this.#ports.flush.turn()
    if (turn === this.#lookedIn) return false
    this.#lookedIn = turn
    this.#unseen = bytes
    const buffered = this.#socket.getBufferedAmount()
    if (buffered > 0) this.#note(buffered)
    return buffered === 0
  }

  subscribe(topic: string): void {
    if (!this.#socketGone) this.#socket.subscribe(topic)
  }

  unsubscribe(topic: string): void {
    if (!this.#socketGone) this.#socket.unsubscribe(topic)
  }

  /** The socket must not be touched any more. */
  forgetSocket(): void {
    this.#socketGone = true
  }

  write(frame: ServerFrame): void {
    this.#writeReply(codecs[this.codec].encode(frame))
  }

  /** @param id the command's, where it has one @param session that is read no more */
  writeError(error: ReplyError, id?: string, session?: string): void {
    const { code, message, retryable, retryAfterMs } = error
    this.#owner.refused(code)
    this.write({
      type: 'error',
      ...(id === undefined ? {} : { id }),
      ...(session === undefined ? {} : { session }),
      code,
      message,
      retryable,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    })
  }

  /** For frames that many connections are sent: encoded once per codec. */
  writeShared(frame: ServerFrame): void {
    let encoded = shared.get(frame)
    if (encoded === undefined) {
      encoded = new Map()
      shared.set(frame, encoded)
    }
    let data = encoded.get(this.codec)
    if (data === undefined) {
      data = codecs[this.codec].encode(frame)
      encoded.set(this.codec, data)
    }
    this.#writeReply(data)
  }

  async room(): Promise<boolean> {
    if (this.#closed) return false
    if (this.unsentBytes <= this.#bound / 2) return true
    return new Promise<boolean>((resolve) => {
      this.#waiting = [...this.#waiting, resolve]
    })
  }

  /** Gives the socket what is queued, as far as the bound allows. */
  flush(): void {
    this.#marked = false
    if (this.#closed) return
    const only = this.#only
    if (only !== undefined && !this.#congested) {
      this.#only = undefined
      this.#queuedBytes = 0
      this.#send(only)
    } else if (this.#queuedBytes > 0) {
      this.#sendQueue(this.#takeQueue())
    }
    this.#wake()
  }

  /** uWS's drain event: the kernel took some of what was buffered. */
  drained(): void {
    this.#progressAt = performance.now()
    this.#note(this.#socket.getBufferedAmount())
    if (this.#queuedBytes > 0) this.flush()
    else this.#wake()
  }

  close(): void {
    this.#closed = true
    this.#congested = false
    this.#only = undefined
    this.#queue = NONE
    this.#queuedBytes = 0
    this.replays.close()
    const waiting = this.#waiting
    this.#waiting = NONE
    for (const tell of waiting) tell(false)
  }

  #writeReply(data: MessageData): void {
    if (this.#closed) return
    if (this.full) {
      this.#replyBytes += data.length
      if (this.#replyBytes > this.#bound) {
        this.#owner.overflowed()
        return
      }
    } else {
      this.#replyBytes = 0
    }
    this.#enqueue(data)
  }

  #enqueue(data: MessageData): void {
    if (this.#closed) return
    if (this.#queuedBytes === 0) this.#only = data
    else if (this.#only === undefined) this.#queue.push(data)
    else this.#queue = [...this.#takeQueue(), data]
    this.#queuedBytes += data.length
    if (this.#marked) return
    this.#marked = true
    this.#ports.flush.mark(this)
  }

  #takeQueue(): readonly MessageData[] {
    const only = this.#only
    if (only === undefined) return this.#queue
    this.#only = undefined
    return [only]
  }

  /** To a socket of which nothing is buffered. */
  #send(data: MessageData): void {
    if (this.#socket.send(asSent(data), this.#binary) !== 1) this.#note(this.#socket.getBufferedAmount())
  }

  #sendQueue(queue: readonly MessageData[]): void {
    let next = 0
    while (next < queue.length && this.#bufferedBytes() <= this.#bound) {
      this.#socket.cork(() => {
        for (let bytes = 0; next < queue.length && bytes <= this.#bound; next += 1) {
          const data = queue[next] as MessageData
          bytes += data.length
          this.#socket.send(asSent(data), this.#binary)
        }
      })
      this.#note(this.#socket.getBufferedAmount())
    }
    this.#queue = next < queue.length ? queue.slice(next) : NONE
    this.#queuedBytes = this.#queue.reduce((sum, data) => sum + data.length, 0)
  }

  #bufferedBytes(): number {
    return this.#congested ? this.#socket.getBufferedAmount() : 0
  }

  #note(buffered: number): void {
    const before = this.#congested
    this.#congested = buffered > 0
    if (before || !this.#congested) return
    this.#progressAt = performance.now()
    this.#owner.congested()
  }

  #wake(): void {
    if (this.#waiting.length === 0 || this.unsentBytes > this.#bound / 2) return
    const waiting = this.#waiting
    this.#waiting = NONE
    for (const tell of waiting) tell(true)
  }
}
