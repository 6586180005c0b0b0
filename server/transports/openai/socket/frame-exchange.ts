// FrameExchange: one response over a WebSocket, in the form of an HTTP request and its streamed answer. So the socket uses the same code
// as POST /v1/responses. It ends with its answer, or with the socket.
import { makeId } from '@parley/protocol'
import type { z } from 'zod'
import type { Identity } from '../../../auth/authenticator.ts'
import { conforming } from '../../http/http-body.ts'
import type { StreamingExchange } from '../../http/http-exchange.ts'
import type { HttpRequest } from '../../http/http-request.ts'
import { CLOSED_STREAM, type HttpStream } from '../../http/http-stream.ts'
import { errorEvent, type ServerEvent } from './response-frames.ts'

/** The client of a socket. */
export interface SocketClient extends Pick<HttpRequest, 'address' | 'experiment'> {
  readonly identity: Identity
  /** The `traceparent` of the upgrade request. */
  readonly trace: string | undefined
}

/** The socket, as an exchange uses it. */
export interface FrameSocket {
  readonly client: SocketClient
  readonly full: boolean
  readonly unsentBytes: number
  readonly draining: StreamingExchange['draining']
  /** For an event of a stream, which has asked whether there is room. */
  send(text: string): void
  /** For any other event. Ends the socket if its client does not read. */
  sendReply(text: string): void
  whenWritable(): Promise<boolean>
}

export class FrameExchange implements StreamingExchange {
  readonly request: HttpRequest
  /** Resolves at the end. */
  readonly ended: Promise<void>
  /** The number of the last event. */
  sequence = 0
  readonly #socket: FrameSocket
  readonly #streamId: string | undefined
  readonly #aborter = new AbortController()
  #stream: FrameStream | undefined
  #finish: () => void = () => undefined

  /** @param frame of the client */
  constructor(socket: FrameSocket, frame: unknown, streamId: string | undefined) {
    this.#socket = socket
    this.#streamId = streamId
    this.request = requestOf(socket.client, frame, this.#aborter.signal)
    this.ended = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  get closed(): boolean {
    return this.#aborter.signal.aborted || this.#stream !== undefined
  }

  get draining(): StreamingExchange['draining'] {
    return this.#socket.draining
  }

  /** The socket ends, and its responses with it. */
  onDrain(): void {
    // See above.
  }

  /** Sends an error. */
  reply(status: number, body?: unknown): void {
    if (this.closed) return
    this.send({ type: 'error', status, ...(body as object) })
    this.end()
  }

  refuse(error: unknown): void {
    if (this.#aborter.signal.aborted) return
    this.send(errorEvent(error, this.request.id))
    this.end()
  }

  stream(): HttpStream {
    if (this.closed) return CLOSED_STREAM
    this.#stream = new FrameStream(this.#socket, this)
    return this.#stream
  }

  send(event: ServerEvent): void {
    this.#socket.sendReply(this.format(event))
  }

  readonly format = (event: object): string => {
    if ('sequence_number' in event) this.sequence = Number(event.sequence_number)
    return JSON.stringify(this.#streamId === undefined ? event : { ...event, stream_id: this.#streamId })
  }

  /** Keeps events back until the promise settles: another event comes first. */
  async holdUntil(work: Promise<unknown>): Promise<void> {
    await this.#stream?.holdUntil(work)
  }

  end(): void {
    if (this.#aborter.signal.aborted) return
    this.#aborter.abort()
    this.#stream?.detach()
    this.#finish()
  }
}

const INTERRUPTED = 'The stream of this response was interrupted. Retrieve the response to continue.'

class FrameStream implements HttpStream {
  readonly #socket: FrameSocket
  readonly #exchange: FrameExchange
  #closed = false
  /** Whether it ends with the events that are kept back. */
  #isEnding = false
  #held: string[] | undefined
  #listeners: (() => void)[] = []
  #waiting: (() => void)[] = []

  constructor(socket: FrameSocket, exchange: FrameExchange) {
    this.#socket = socket
    this.#exchange = exchange
  }

  get full(): boolean {
    return this.#held !== undefined || this.#socket.full
  }

  get unsentBytes(): number {
    return this.#socket.unsentBytes
  }

  get closed(): boolean {
    return this.#closed || this.#isEnding
  }

  write(text: string): void {
    if (this.closed) return
    if (this.#held === undefined) this.#socket.send(text)
    else this.#held.push(text)
  }

  async whenWritable(): Promise<boolean> {
    while (this.#held !== undefined && !this.#closed) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return !this.#closed && (await this.#socket.whenWritable())
  }

  onClose(listener: () => void): void {
    if (this.#closed) listener()
    else this.#listeners.push(listener)
  }

  heartbeatWithin(): void {
    // The socket has pings.
  }

  async holdUntil(work: Promise<unknown>): Promise<void> {
    this.#held ??= []
    await work.catch(() => undefined)
    const held = this.#held ?? []
    this.#held = undefined
    for (const text of held) if (!this.#closed) this.#socket.send(text)
    this.#wake()
    if (this.#isEnding) this.#exchange.end()
  }

  end(): void {
    if (this.closed) return
    if (this.#held === undefined) this.#exchange.end()
    else this.#isEnding = true
  }

  abort(): void {
    if (this.closed) return
    const error = { message: INTERRUPTED, type: 'server_error', param: null, code: 'unavailable' }
    this.write(this.#exchange.format({ type: 'error', status: 503, error }))
    this.end()
  }

  detach(): void {
    this.#closed = true
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) listener()
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

/** A frame has no headers of its own. */
function requestOf({ identity, address, experiment, trace }: SocketClient, frame: unknown, signal: AbortSignal) {
  const { user, name, role, limits, credentials } = identity
  return {
    ...{ id: makeId('req'), method: 'POST', path: '/v1/responses', params: {}, query: new URLSearchParams() },
    ...{ address, experiment, signal, user, name, role, limits, credentials },
    header: (header: string) => (header === 'traceparent' ? trace : undefined),
    json: async <T>(schema: z.ZodType<T>) => conforming(schema, frame),
    queryAs: <T>(schema: z.ZodType<T>) => conforming(schema, {}),
    paramAs: <T>(_name: string, schema: z.ZodType<T>) => conforming(schema, undefined),
  }
}
