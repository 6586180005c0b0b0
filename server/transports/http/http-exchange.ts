// HttpExchange: one request and its answer. It answers at most once, and never after the client has disconnected: uWS
// frees the response at its end and on an abort, and any later use of it crashes the process.

import { stringifyJson } from '@parley/protocol'
import type { Logger } from 'pino'
import { TokenClock } from '../../auth/token-clock.ts'
import type { ByteBudget } from '../../limit/byte-budget.ts'
import { asBytes } from '../feed/entry-message.ts'
import type { HttpResponse } from '../uws.ts'
import type { HttpRequest, RequestSnapshot } from './http-request.ts'
import { CLOSED_STREAM, type HttpStream, ResponseStream, type StreamPorts } from './http-stream.ts'
import { corsHeaders } from './origin.ts'
import { type Headers, writeHead } from './response-head.ts'
import { sendAnswer } from './send-answer.ts'

/** The node is about to shut down. */
export interface DrainNotice {
  readonly reason: string
  /** Milliseconds over which the clients should spread their reconnects to other nodes. */
  readonly withinMs: number
}

export interface HttpExchange {
  readonly request: HttpRequest
  /** Whether it can no longer be answered: an answer has started, or the client has disconnected. */
  readonly closed: boolean
  /** Sends JSON, or no body if `body` is undefined. A no-op when it is closed. */
  reply(status: number, body?: unknown, headers?: Headers): void
  /** Like `reply`, but sends the body unchanged; the headers must contain a Content-Type. */
  replyWith(status: number, body: string | Uint8Array, headers: Headers): void
  /**
   * Starts a streamed answer. An idle stream gets heartbeats: `filler`, which also follows each write.
   * If the exchange is closed, or for HEAD, the returned stream is already closed.
   * @param filler by default a comment for SSE, else an empty line
   */
  stream(status: number, headers: Headers, filler?: Uint8Array): HttpStream
  /** Set while the node drains: new work should be refused. */
  readonly draining: DrainNotice | undefined
  /** Calls back when the node starts to drain; at once if it already does; never after the exchange has ended. */
  onDrain(listener: (draining: DrainNotice) => void): void
  /** Calls back when the access token expires. Without a listener, the server then refuses the request, or cuts the stream. */
  onExpire(listener: () => void): void
}

/** The part of it that a streamed answer uses. */
export type StreamingExchange = Pick<HttpExchange, 'request' | 'closed' | 'reply' | 'stream' | 'draining' | 'onDrain'>

export interface ExchangePorts extends Omit<StreamPorts, 'ended'> {
  readonly logger: Logger
  /** For answers that their clients have not read: beyond it, their connections are closed. */
  readonly unread: ByteBudget
  opened(stream: ResponseStream): void
  /** Called when it was answered in full, or its client has disconnected. */
  ended(exchange: ResponseExchange): void
  draining(): DrainNotice | undefined
}

const COMMENT = Buffer.from(':\n')
const EMPTY_LINE = Buffer.from('\n')

export class ResponseExchange implements HttpExchange {
  readonly request: RequestSnapshot
  readonly #ports: ExchangePorts
  readonly #response: HttpResponse
  readonly #origin: string
  readonly #bodiless: boolean
  #phase: 'open' | 'answering' | 'streaming' | 'ended' = 'open'
  #stream: ResponseStream | undefined
  #listeners: ((draining: DrainNotice) => void)[] = []
  #answered: ((status: number) => void) | undefined
  #clock: TokenClock | undefined
  #expired: (() => void) | undefined
  /** Bytes of an answer that its client has not read. */
  #kept = 0

  /** @param origin the origin of a page that may read the answer; else '' */
  constructor(response: HttpResponse, request: RequestSnapshot, origin: string, ports: ExchangePorts) {
    this.request = request
    this.#response = response
    this.#origin = origin
    this.#bodiless = request.method === 'HEAD'
    this.#ports = ports
    response.onAborted(() => this.#end())
  }

  get closed(): boolean {
    return this.#phase !== 'open'
  }

  get streaming(): ResponseStream | undefined {
    return this.#stream
  }

  get draining(): DrainNotice | undefined {
    return this.#ports.draining()
  }

  onDrain(listener: (draining: DrainNotice) => void): void {
    const { draining } = this
    if (this.#phase === 'ended') return
    if (draining !== undefined) listener(draining)
    else this.#listeners.push(listener)
  }

  onExpire(listener: () => void): void {
    this.#expired = listener
  }

  /** Watches the expiry of the access token. @param refuse answers with an error */
  watchToken(refuse: () => void): void {
    const { until } = this.request
    if (until === undefined || this.#phase === 'ended') return
    const expired = (): void => {
      if (this.#expired !== undefined) this.#expired()
      // A client must continue with a new access token.
      else if (this.#stream !== undefined) this.#stream.abort()
      else refuse()
    }
    this.#clock = new TokenClock({ expiring: () => undefined, expired })
    this.#clock.start(until)
  }

  /** Calls back once, with the status, when an answer or a stream starts. */
  onAnswer(listener: (status: number) => void): void {
    this.#answered = listener
  }

  notifyDrain(draining: DrainNotice): void {
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) listener(draining)
  }

  reply(status: number, body?: unknown, headers: Headers = {}): void {
    if (body === undefined) this.#answer(status, undefined, headers, false)
    else this.replyWith(status, stringifyJson(body), { 'Content-Type': 'application/json', ...headers })
  }

  replyWith(status: number, body: string | Uint8Array, headers: Headers): void {
    this.#answer(status, body, headers, false)
  }

  /** Like `replyWith`, and closes the connection. */
  replyAndClose(status: number, body: string, headers: Headers): void {
    this.#answer(status, body, headers, true)
  }

  stream(status: number, headers: Headers, filler = fillerOf(headers)): HttpStream {
    if (this.#bodiless) this.#answer(status, undefined, headers, false)
    if (this.#phase !== 'open') return CLOSED_STREAM
    this.#phase = 'streaming'
    this.#answered?.(status)
    const stream = new ResponseStream(
      this.#response,
      () => writeHead(this.#response, status, this.#headers(headers)),
      filler,
      { ...this.#ports, ended: () => this.#end() },
    )
    this.#stream = stream
    this.#ports.opened(stream)
    return stream
  }

  /** Closes the connection at once. */
  abort(): void {
    if (this.#phase !== 'ended') this.#response.close()
  }

  #answer(status: number, body: string | Uint8Array | undefined, headers: Headers, closes: boolean): void {
    if (this.#phase !== 'open') return
    this.#phase = 'answering'
    this.#answered?.(status)
    sendAnswer(
      this.#response,
      {
        status,
        headers: this.#headers(headers),
        body: body === undefined ? undefined : asBytes(body),
        bodiless: this.#bodiless,
        closes,
      },
      {
        isOpen: () => this.#phase === 'answering',
        // Bytes that a route has are the same for all clients.
        ...(typeof body === 'string' ? { waits: (bytes) => this.#keep(bytes) } : {}),
        ended: () => this.#end(),
      },
    )
  }

  /** The client reads slowly. */
  #keep(bytes: number): void {
    if (this.#ports.unread.take(bytes)) this.#kept = bytes
    else this.#response.close()
  }

  #headers(headers: Headers): Headers {
    return {
      'Cache-Control': 'no-store',
      'X-Request-Id': this.request.id,
      ...corsHeaders(this.#origin),
      ...headers,
    }
  }

  #end(): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    this.#ports.unread.give(this.#kept)
    this.#kept = 0
    this.#listeners = []
    this.#clock?.stop()
    this.#stream?.detach()
    this.request.end()
    this.#ports.ended(this)
  }
}

/** A comment ends with one line break: after a second one, many clients pass on an empty event. */
function fillerOf(headers: Headers): Uint8Array {
  return headers['Content-Type']?.startsWith('text/event-stream') === true ? COMMENT : EMPTY_LINE
}
