// RpcAnswer: the answer to one JSON-RPC request: server-sent events, so that the client and the proxies between see at once that the
// request was taken, or one JSON body for a client that accepts nothing else.
import type { HttpExchange } from '../http/http-exchange.ts'
import type { HttpStream } from '../http/http-stream.ts'
import { errorMessage, type Params, type RpcError, type RpcId, resultMessage } from './rpc.ts'

/** Milliseconds after which a client resumes a stream, and the range over which that is spread. */
const RETRY_MS = 500
const RETRY_SPREAD_MS = 1_000

export class RpcAnswer {
  readonly id: RpcId
  readonly #exchange: HttpExchange
  readonly #streams: boolean
  #stream: HttpStream | undefined
  #hasEnded = false
  #isStopped = false
  #isResumable: boolean

  /**
   * @param streams whether the client accepts server-sent events
   * @param isResumable whether the client has the id of an event already
   */
  constructor(exchange: HttpExchange, id: RpcId, streams: boolean, isResumable = false) {
    this.#exchange = exchange
    this.id = id
    this.#streams = streams
    this.#isResumable = isResumable
  }

  /** Whether the client has the id of an event, from which it can resume the stream. */
  get isResumable(): boolean {
    return this.#isResumable
  }

  /** Undefined before `open`, and for one JSON body. */
  get stream(): HttpStream | undefined {
    return this.#stream
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Sends the head of a stream. @param first id of an event without a message, from which the client can resume */
  open(first?: string): void {
    if (!this.#streams) return
    this.#stream = this.#exchange.stream(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'X-Accel-Buffering': 'no',
    })
    const retryMs = Math.round(RETRY_MS + RETRY_SPREAD_MS * Math.random())
    if (first !== undefined) {
      this.#isResumable = true
      this.#stream.write(`id: ${first}\nretry: ${retryMs}\ndata: \n\n`)
    }
    if (this.#isStopped) this.stop()
  }

  /** Sends a notification, or a request if `id` is given. Only a stream can. @param event id of the event */
  send(method: string, params: Params, event?: string, id?: RpcId): void {
    if (this.#hasEnded) return
    this.#write({ jsonrpc: '2.0', ...(id === undefined ? {} : { id }), method, params }, event)
  }

  finish(result: Params, event?: string): void {
    this.#end(200, resultMessage(this.id, result), event)
  }

  fail(error: RpcError, event?: string): void {
    this.#end(error.status, errorMessage(this.id, error), event)
  }

  /** Ends the stream without an answer, now or when it is opened. */
  stop(): void {
    this.#isStopped = true
    if (this.#hasEnded || this.#stream === undefined) return
    this.#hasEnded = true
    this.#stream.end()
  }

  #end(status: number, message: object, event: string | undefined): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    if (this.#stream === undefined) {
      this.#exchange.reply(status, message)
      return
    }
    this.#write(message, event)
    this.#stream.end()
  }

  #write(message: object, event: string | undefined): void {
    const id = event === undefined ? '' : `id: ${event}\n`
    this.#isResumable ||= event !== undefined
    this.#stream?.write(`event: message\n${id}data: ${JSON.stringify(message)}\n\n`)
  }
}
