// HttpExchange: one request and its answer. The answer is given once, and never to a client that has left: uWS takes the
// response back at the end and at an abort, and whoever touches it then ends the process.

import type { HttpResponse } from 'uWebSockets.js'
import type { Logger } from 'pino'
import { TokenClock } from '../../auth/token-clock.ts'
import { asBytes } from '../feed/entry-message.ts'
import { corsHeaders } from './cors.ts'
import type { HttpRequest, RequestSnapshot } from './http-request.ts'
import { CLOSED_STREAM, type HttpStream, ResponseStream, type StreamPorts } from './http-stream.ts'
import { type Headers, writeHead } from './response-head.ts'

/** The node is about to stop. */
export interface Leaving {
  readonly reason: string
  /** Milliseconds within which those who are here should come back elsewhere, spread. */
  readonly withinMs: number
}

export interface HttpExchange {
  readonly request: HttpRequest
  /** An answer was begun, or the client has left: nothing more can be said. */
  readonly over: boolean
  /** Sends JSON; without a body, none. A no-op when it is over. */
  reply(status: number, body?: unknown, headers?: Headers): void
  /** As `reply`, with a body as it is and a Content-Type among the headers. */
  replyWith(status: number, body: string | Uint8Array, headers: Headers): void
  /**
   * Begins an answer of many parts. Where nothing else is written, heartbeats are: a comment (SSE), else an empty line.
   * When it is over, or for HEAD, the stream is closed from the beginning.
   */
  stream(status: number, headers: Headers): HttpStream
  /** Why new work should be refused; undefined while the node goes on. */
  readonly leaving: Leaving | undefined
  /** Calls back when the node is about to stop, at once if it is, unless the exchange is over. */
  onLeaving(listener: (leaving: Leaving) => void): void
}

export interface ExchangePorts extends Omit<StreamPorts, 'ended'> {
  readonly logger: Logger
  opened(stream: ResponseStream): void
  /** It was answered in full, or its client is gone. */
  ended(exchange: ResponseExchange): void
  leaving(): Leaving | undefined
}

export class ResponseExchange implements HttpExchange {
  readonly request: RequestSnapshot
  readonly #ports: ExchangePorts
  readonly #response: HttpResponse
  readonly #origin: string
  readonly #bodiless: boolean
  #phase: 'open' | 'streaming' | 'over' = 'open'
  #stream: ResponseStream | undefined
  #listeners: ((leaving: Leaving) => void)[] = []
  #answered: ((status: number) => void) | undefined

  /** @param origin of a page that may read the answer; else '' */
  constructor(response: HttpResponse, request: RequestSnapshot, origin: string, ports: ExchangePorts) {
    this.request = request
    this.#response = response
    this.#origin = origin
    this.#bodiless = request.method === 'HEAD'
    this.#ports = ports
    response.onAborted(() => this.#leave())
  }

  get over(): boolean {
    return this.#phase !== 'open'
  }

  get streaming(): ResponseStream | undefined {
    return this.#stream
  }

  get leaving(): Leaving | undefined {
    return this.#ports.leaving()
  }

  onLeaving(listener: (leaving: Leaving) => void): void {
    const { leaving } = this
    if (this.#phase === 'over') return
    if (leaving !== undefined) listener(leaving)
    else this.#listeners.push(listener)
  }

  /** Calls back once, with the status, when an answer or a stream is begun. */
  onAnswer(listener: (status: number) => void): void {
    this.#answered = listener
  }

  tellLeaving(leaving: Leaving): void {
    const listeners = this.#listeners
    this.#listeners = []
    for (const tell of listeners) tell(leaving)
  }

  reply(status: number, body?: unknown, headers: Headers = {}): void {
    if (body === undefined) this.#answer(status, undefined, headers, false)
    else this.replyWith(status, JSON.stringify(body), { 'Content-Type': 'application/json', ...headers })
  }

  replyWith(status: number, body: string | Uint8Array, headers: Headers): void {
    this.#answer(status, body, headers, false)
  }

  /** As `replyWith`; nothing more is read from the connection. */
  replyAndClose(status: number, body: string, headers: Headers): void {
    this.#answer(status, body, headers, true)
  }

  stream(status: number, headers: Headers): HttpStream {
    if (this.#bodiless) this.#answer(status, undefined, headers, false)
    if (this.#phase !== 'open') return CLOSED_STREAM
    this.#phase = 'streaming'
    this.#answered?.(status)
    const filler = headers['Content-Type']?.startsWith('text/event-stream') === true ? ':\n\n' : '\n'
    const stream = new ResponseStream(
      this.#response,
      () => writeHead(this.#response, status, this.#headers(headers)),
      filler,
      { ...this.#ports, ended: () => this.#leave() },
    )
    this.#stream = stream
    this.#endWithToken(stream)
    this.#ports.opened(stream)
    return stream
  }

  /** Whoever reads on does so with a fresh token. */
  #endWithToken(stream: ResponseStream): void {
    const { until } = this.request
    if (until === undefined) return
    const clock = new TokenClock({ expiring: () => undefined, expired: () => stream.cut() })
    clock.start(until)
    stream.onClose(() => clock.stop())
  }

  /** Cuts the connection. */
  cut(): void {
    if (this.#phase !== 'over') this.#response.close()
  }

  #answer(status: number, body: string | Uint8Array | undefined, headers: Headers, closes: boolean): void {
    if (this.#phase !== 'open') return
    this.#answered?.(status)
    const response = this.#response
    response.cork(() => {
      writeHead(response, status, this.#headers(headers))
      if (body === undefined && (status === 204 || status === 304 || this.#bodiless)) response.endWithoutBody()
      else if (this.#bodiless) response.endWithoutBody(Buffer.byteLength(body ?? ''))
      else response.end(asBytes(body ?? ''), closes)
    })
    this.#leave()
  }

  #headers(headers: Headers): Headers {
    return {
      'Cache-Control': 'no-store',
      'X-Request-Id': this.request.id,
      ...corsHeaders(this.#origin),
      ...headers,
    }
  }

  #leave(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    this.#listeners = []
    this.#stream?.left()
    this.request.leave()
    this.#ports.ended(this)
  }
}
