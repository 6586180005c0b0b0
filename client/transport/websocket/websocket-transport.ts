// WebSocketTransport: frames over one WebSocket. Frames of a closed socket are ignored.
import type { ClientFrame, ServerFrame } from '@parley/protocol'
import { mayReconnect } from '@parley/protocol/close-code'
import { FRAME_BYTES, SUBPROTOCOLS } from '@parley/protocol/subprotocol'
import { platformWebSocket } from '#platform'
import { CLIENT_VERSION, socketUrl, type WebSocketLike } from '../../client-options.ts'
import { makeId } from '../../make-id.ts'
import { reasonOf } from '../../parley-error.ts'
import { type FrameCodec, loadCodec } from '../frame-codec.ts'
import {
  ABNORMAL,
  type Loss,
  NORMAL,
  type Transport,
  type TransportHandler,
  type TransportOptions,
} from '../transport.ts'

export class WebSocketTransport implements Transport {
  readonly #options: TransportOptions
  readonly #handler: TransportHandler
  #socket: WebSocketLike | undefined
  #codec: FrameCodec | undefined
  #welcomed = false
  /** The access token that the server got last. */
  #token: string | undefined
  /** The id of the unanswered `token` frame. */
  #renewal: string | undefined
  #closed = false
  /** The server's limit of a message, in bytes. */
  #maxBytes: number = FRAME_BYTES

  constructor(options: TransportOptions, handler: TransportHandler) {
    this.#options = options
    this.#handler = handler
    this.#open().catch((error: unknown) => {
      if (this.#closed) return
      this.#options.logger?.warn({ err: error }, 'failed to open the connection')
      this.#lost({ kind: 'unreachable', code: ABNORMAL, reason: reasonOf(error) })
    })
  }

  send(frame: ClientFrame): void {
    if (this.#socket === undefined || this.#codec === undefined) return
    const data = this.#codec.encode(frame)
    if (isLarger(data, this.#maxBytes)) {
      // The server would close the connection permanently, and with it all sessions.
      const message = `The command exceeds the server's limit of ${this.#maxBytes} bytes.`
      const id = 'id' in frame ? { id: frame.id } : {}
      queueMicrotask(() => this.#deliver([{ type: 'error', ...id, code: 'too_large', message, retryable: false }]))
      return
    }
    this.#socket.send(data)
  }

  close(): void {
    this.#closed = true
    if (this.#socket !== undefined) closeSocket(this.#socket)
    this.#socket = undefined
  }

  renew(): void {
    if (this.#welcomed) void this.#renew()
  }

  async #open(): Promise<void> {
    const { codec: name, url } = this.#options
    const codec = await loadCodec(name)
    const token = await this.#options.token()
    if (this.#closed) return
    this.#token = token
    const Socket = this.#options.WebSocket ?? platformWebSocket()
    const socket = new Socket(socketUrl(url), [SUBPROTOCOLS[name]])
    socket.binaryType = 'arraybuffer'
    this.#codec = codec
    this.#socket = socket
    socket.onopen = () => {
      if (this.#closed) return
      this.#handler.connected?.()
      const client = { name: '@parley/client', version: CLIENT_VERSION }
      if (token === undefined) this.send({ type: 'hello', client: { ...client, id: this.#options.client() } })
      else this.send({ type: 'hello', client, token })
    }
    socket.onmessage = (event) => this.#message(codec, event.data)
    socket.onclose = ({ code, reason }) => {
      const isByServer = !mayReconnect(code) || code >= 4500
      this.#lost({ kind: isByServer ? 'by-server' : this.#welcomed ? 'broken' : 'unreachable', code, reason })
    }
    // A close event with the details follows each failure.
    socket.onerror = () => undefined
  }

  #message(codec: FrameCodec, data: unknown): void {
    if (this.#closed) return
    let frames: readonly ServerFrame[]
    try {
      frames = codec.decode(data)
    } catch (error) {
      this.#options.logger?.warn({ err: error }, 'received an invalid frame')
      this.#lost({ kind: 'broken', code: ABNORMAL, reason: 'The server sent an invalid frame.' })
      return
    }
    if (!this.#welcomed) {
      const welcome = frames.find((frame) => frame.type === 'welcome')
      this.#welcomed = welcome !== undefined
      this.#maxBytes = welcome?.limits.frameBytes ?? FRAME_BYTES
    }
    this.#deliver(frames.filter((frame) => !this.#isAboutToken(frame)))
  }

  #isAboutToken(frame: ServerFrame): boolean {
    if (frame.type === 'entry') return false
    if (frame.type === 'expiring') {
      void this.#renew()
      return true
    }
    if ((frame.type !== 'ok' && frame.type !== 'error') || frame.id === undefined) return false
    if (frame.id !== this.#renewal) return false
    this.#renewal = undefined
    if (frame.type === 'error') this.#options.logger?.warn({ code: frame.code }, 'fresh access token rejected')
    return true
  }

  /** Sends a fresh access token. Without one, the server ends the connection when the current token expires. */
  async #renew(): Promise<void> {
    try {
      const token = await this.#options.token()
      if (this.#closed || token === undefined || token === this.#token) return
      this.#token = token
      this.#renewal = makeId('tok')
      this.send({ type: 'token', id: this.#renewal, token })
    } catch (error) {
      this.#options.logger?.warn({ err: error }, 'failed to get a fresh access token')
    }
  }

  #deliver(frames: readonly ServerFrame[]): void {
    if (!this.#closed) this.#handler.frames(frames)
  }

  #lost(loss: Loss): void {
    if (this.#closed) return
    this.close()
    this.#handler.lost(loss)
  }
}

/** Encodes a text only if it can exceed the limit: a UTF-16 unit has at most three bytes in UTF-8. */
function isLarger(data: string | Uint8Array, maxBytes: number): boolean {
  if (typeof data !== 'string') return data.byteLength > maxBytes
  return data.length * 3 > maxBytes && new TextEncoder().encode(data).byteLength > maxBytes
}

const CLOSING = 2

function closeSocket(socket: WebSocketLike): void {
  if (socket.readyState >= CLOSING) return
  // A peer that does not answer would keep the closing socket for a long time; `ws` can end it.
  socket.close(NORMAL)
  if (socket.terminate !== undefined) setTimeout(() => socket.terminate?.(), TERMINATE_MS).unref?.()
}

const TERMINATE_MS = 2_000
