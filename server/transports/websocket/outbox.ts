// Outbox: the ordered outgoing messages of one connection. Its limit applies to unsent bytes: those in uWS's buffer and
// those queued here. While it is full, readers write no entries and return to the log; replies may exceed the limit by as
// much again. uWS never drops a message, because it gets none while its buffer is over the limit.
import { type CodecName, codecs, type ErrorCode, type ReplyError, type ServerFrame } from '@parley/protocol'
import { Semaphore } from '../../limit/semaphore.ts'
import { asSent, type MessageData } from '../feed/entry-message.ts'
import type { OutboxFlusher } from '../feed/outbox-flusher.ts'
import type { ReaderSink } from '../feed/reader-ports.ts'

/** The part of a uWS socket that an outbox uses. */
export interface OutboxSocket {
  /** @returns 1 if the kernel took all, 0 if bytes are buffered, 2 if the message was dropped */
  send(data: MessageData, binary: boolean): number
  getBufferedAmount(): number
  cork(write: () => void): unknown
  subscribe(topic: string): unknown
  unsubscribe(topic: string): unknown
}

export interface OutboxEvents {
  /** Bytes wait for the socket: it must be supervised until they are sent. */
  congested(): void
  /** The client does not read its replies. */
  overflowed(): void
  /** An error reply was written. */
  refused(code: ErrorCode): void
}

/** The services that all outboxes share. */
export interface OutboxPorts {
  readonly flush: OutboxFlusher
  /** `outboxBytes`: limit of unsent bytes for entries; replies may use as many again. */
  readonly limits: { readonly outboxBytes: number }
}

/** Maximum number of concurrent replays of one connection. */
const MAX_REPLAYS = 4

/** Shared by all outboxes, because queues are nearly always empty. Never mutated, only replaced. */
const NONE: never[] = []

/** Encoded frames that many connections get. */
const encodedFrames = new WeakMap<ServerFrame, Map<CodecName, MessageData>>()

export class Outbox implements ReaderSink {
  readonly codec: CodecName
  /** Set while a reader replays. */
  #replays: Semaphore | undefined
  readonly #socket: OutboxSocket
  readonly #ports: OutboxPorts
  readonly #events: OutboxEvents
  readonly #limit: number
  readonly #binary: boolean
  /** The only queued message. Nearly always there is just one, so it needs no array. */
  #only: MessageData | undefined
  #queue: MessageData[] = NONE
  /** For text the number of UTF-16 code units, because counting its bytes is too expensive for a limit. */
  #queuedBytes = 0
  /** Whether uWS has buffered bytes that the kernel did not take. */
  #congested = false
  #replyBytes = 0
  #flushScheduled = false
  #closed = false
  #socketGone = false
  /** Bytes broadcast to it since the last check of uWS's buffer, and the turn of that check. */
  #uncheckedBytes = 0
  #checkedTurn = -1
  #waiting: readonly ((room: boolean) => void)[] = NONE
  #progressAt = 0

  constructor(socket: OutboxSocket, codec: CodecName, ports: OutboxPorts, events: OutboxEvents) {
    this.codec = codec
    this.#socket = socket
    this.#ports = ports
    this.#events = events
    this.#limit = ports.limits.outboxBytes
    this.#binary = codecs[codec].binary
  }

  get replays(): Semaphore {
    this.#replays ??= new Semaphore(MAX_REPLAYS, () => {
      if (!this.#closed) this.#replays = undefined
    })
    return this.#replays
  }

  get unsentBytes(): number {
    return this.#queuedBytes + this.#bufferedBytes()
  }

  get full(): boolean {
    // Most sockets keep up: then uWS needs no call.
    return (this.#congested || this.#queuedBytes > 0) && this.unsentBytes > this.#limit
  }

  /** `performance.now()` of the last progress of a congested socket; undefined if no bytes wait. */
  get stalledSince(): number | undefined {
    return this.#congested ? this.#progressAt : undefined
  }

  writeEntries(data: MessageData): void {
    this.#enqueue(data)
  }

  // uWS keeps the order: before a send to a socket, it sends what was published to it. The size of uWS's buffer is checked
  // only periodically, and once per turn: data published in this turn is not in the buffer yet.
  acceptsBroadcast(bytes: number): boolean {
    if (this.#queuedBytes > 0) this.flush()
    if (this.#closed || this.#congested || this.#queuedBytes > 0) return false
    this.#uncheckedBytes += bytes
    if (this.#uncheckedBytes <= this.#limit / 4) return true
    const turn = this.#ports.flush.turn()
    if (turn === this.#checkedTurn) return false
    this.#checkedTurn = turn
    this.#uncheckedBytes = bytes
    const buffered = this.#socket.getBufferedAmount()
    if (buffered > 0) this.#setBuffered(buffered)
    return buffered === 0
  }

  subscribe(topic: string): void {
    if (!this.#socketGone) this.#socket.subscribe(topic)
  }

  unsubscribe(topic: string): void {
    if (!this.#socketGone) this.#socket.unsubscribe(topic)
  }

  /** Call when the socket is closed: it must not be used again. */
  forgetSocket(): void {
    this.#socketGone = true
  }

  write(frame: ServerFrame): void {
    this.#writeReply(codecs[this.codec].encode(frame))
  }

  /** @param id of the command, if any @param session that can no longer be read, if any */
  writeError(error: ReplyError, id?: string, session?: string): void {
    const { code, message, retryable, retryAfterMs } = error
    this.#events.refused(code)
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

  /** For frames that many connections get: they are encoded once per codec. */
  writeShared(frame: ServerFrame): void {
    let encoded = encodedFrames.get(frame)
    if (encoded === undefined) {
      encoded = new Map()
      encodedFrames.set(frame, encoded)
    }
    let data = encoded.get(this.codec)
    if (data === undefined) {
      data = codecs[this.codec].encode(frame)
      encoded.set(this.codec, data)
    }
    this.#writeReply(data)
  }

  async whenWritable(): Promise<boolean> {
    if (this.#closed) return false
    if (this.unsentBytes <= this.#limit / 2) return true
    return new Promise<boolean>((resolve) => {
      this.#waiting = [...this.#waiting, resolve]
    })
  }

  /** Sends queued messages to the socket, up to the limit. */
  flush(): void {
    this.#flushScheduled = false
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

  /** uWS's drain event: the kernel took some of the buffered bytes. */
  drained(): void {
    this.#progressAt = performance.now()
    this.#setBuffered(this.#socket.getBufferedAmount())
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
    for (const resolve of waiting) resolve(false)
  }

  #writeReply(data: MessageData): void {
    if (this.#closed) return
    if (this.full) {
      this.#replyBytes += data.length
      if (this.#replyBytes > this.#limit) {
        this.#events.overflowed()
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
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    this.#ports.flush.schedule(this)
  }

  #takeQueue(): readonly MessageData[] {
    const only = this.#only
    if (only === undefined) return this.#queue
    this.#only = undefined
    return [only]
  }

  /** The socket must have nothing buffered. */
  #send(data: MessageData): void {
    if (this.#socket.send(asSent(data), this.#binary) !== 1) this.#setBuffered(this.#socket.getBufferedAmount())
  }

  #sendQueue(queue: readonly MessageData[]): void {
    let next = 0
    while (next < queue.length && this.#bufferedBytes() <= this.#limit) {
      this.#socket.cork(() => {
        for (let bytes = 0; next < queue.length && bytes <= this.#limit; next += 1) {
          const data = queue[next] as MessageData
          bytes += data.length
          this.#socket.send(asSent(data), this.#binary)
        }
      })
      this.#setBuffered(this.#socket.getBufferedAmount())
    }
    this.#queue = next < queue.length ? queue.slice(next) : NONE
    this.#queuedBytes = this.#queue.reduce((sum, data) => sum + data.length, 0)
  }

  #bufferedBytes(): number {
    return this.#congested ? this.#socket.getBufferedAmount() : 0
  }

  #setBuffered(buffered: number): void {
    const before = this.#congested
    this.#congested = buffered > 0
    if (before || !this.#congested) return
    this.#progressAt = performance.now()
    this.#events.congested()
  }

  #wake(): void {
    if (this.#waiting.length === 0 || this.unsentBytes > this.#limit / 2) return
    const waiting = this.#waiting
    this.#waiting = NONE
    for (const resolve of waiting) resolve(true)
  }
}
