// ArrivingSocket: a socket of the Responses API whose access token is being verified. It keeps the messages that arrive meanwhile.
// Their number and bytes are limited, and their bytes also count for all clients whose user is not known yet.
import { makeId, ReplyError } from '@parley/protocol'
import type { ByteBudget } from '../../../limit/byte-budget.ts'
import { asReplyError } from '../../http/failure.ts'
import type { Handshake } from '../../websocket/handshakes.ts'
import type { UpgradeRequest } from '../../websocket/upgrade.ts'
import { errorEvent } from './response-frames.ts'
import { CLOSES } from './socket-closes.ts'

/** What the upgrade request says of the client. */
export type Arrival = Pick<UpgradeRequest, 'address' | 'token' | 'trace'>

export interface ArrivingSocketPorts {
  readonly strangers: ByteBudget
  readonly limits: {
    /** Of all kept messages together. */
    readonly messageBytes: number
  }
}

/** A socket of uWS. `end` and `close` call `closed` before they return. */
interface OpenSocket {
  send(text: string): unknown
  end(code: number, reason: string): void
  close(): void
}

export interface KeptMessage {
  readonly data: ArrayBuffer
  readonly isBinary: boolean
}

const MAX_MESSAGES = 32

export class ArrivingSocket implements Handshake {
  readonly client: Arrival
  /** Whether the server ended it: its descriptor may outlive it. */
  hasEnded = false
  isClosed = false
  readonly #socket: OpenSocket
  readonly #ports: ArrivingSocketPorts
  #messages: KeptMessage[] = []
  #bytes = 0

  constructor(socket: OpenSocket, client: Arrival, ports: ArrivingSocketPorts) {
    this.client = client
    this.#socket = socket
    this.#ports = ports
  }

  /** @param data valid only during the call */
  receive(data: ArrayBuffer, isBinary: boolean): void {
    if (this.isClosed) return
    const { strangers, limits } = this.#ports
    const bytes = data.byteLength
    const isTooMuch = this.#messages.length >= MAX_MESSAGES || this.#bytes + bytes > limits.messageBytes
    if (isTooMuch || !strangers.take(bytes)) {
      this.refuse(new ReplyError('unavailable', 'Too much was sent before the access token was verified.'))
      return
    }
    this.#messages.push({ data: data.slice(0), isBinary })
    this.#bytes += bytes
  }

  /** Forgets the messages. @returns them */
  take(): readonly KeptMessage[] {
    const messages = this.#messages
    this.#ports.strangers.give(this.#bytes)
    this.#messages = []
    this.#bytes = 0
    return messages
  }

  /** Sends the error and ends the socket. */
  refuse(error: unknown): void {
    this.hasEnded = true
    this.#socket.send(JSON.stringify(errorEvent(error, makeId('req'))))
    this.#socket.end(closeOf(error), asReplyError(error).message)
  }

  end(code: number, reason: string): void {
    this.hasEnded = true
    this.#socket.end(code, reason)
  }

  drop(): void {
    this.#socket.close()
  }

  /** Call when the socket is closed: it must not be used again. */
  closed(): void {
    this.isClosed = true
    this.take()
  }
}

function closeOf(error: unknown): number {
  if (!(error instanceof ReplyError)) return CLOSES.internal
  return error.retryable ? CLOSES.later : CLOSES.refused
}
