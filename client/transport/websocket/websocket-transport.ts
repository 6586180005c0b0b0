// WebSocketTransport: a link over one WebSocket. A frame of a socket that was left is never heard.
import type { ClientFrame, ServerFrame } from '@parley/protocol'
import { mayReconnect } from '@parley/protocol/close-code'
import { LIMITS } from '@parley/protocol/limits'
import { makeId } from '@parley/protocol/make-id'
import { SUBPROTOCOLS } from '@parley/protocol/subprotocol'
import { platformWebSocket } from '#platform'
import { CLIENT_VERSION, socketUrl } from '../../client-options.ts'
import { type FrameCodec, loadCodec } from '../frame-codec.ts'
import {
  ABNORMAL,
  type Loss,
  NORMAL,
  type Transport,
  type TransportHandler,
  type TransportOptions,
} from '../transport.ts'
import type { WebSocketLike } from './web-socket.ts'

export class WebSocketTransport implements Transport {
  readonly #options: TransportOptions
  readonly #handler: TransportHandler
  #socket: WebSocketLike | undefined
  #codec: FrameCodec | undefined
  #welcomed = false
  /** What the server was last given. */
  #token: string | undefined
  /** The id of a fresh token that is not answered yet. */
  #renewal: string | undefined
  #closed = false
  /** Bytes of the largest message that the server takes. */
  #maxBytes: number = LIMITS.frameBytes

  constructor(options: TransportOptions, handler: TransportHandler) {
    this.#options = options
    this.#handler = handler
    this.#open().catch((error: unknown) => {
      if (this.#closed) return
      this.#options.logger?.warn({ err: error }, 'connection could not be begun')
      const reason = error instanceof Error ? error.message : 'The connection could not be begun.'
      this.#lost({ kind: 'unreached', code: ABNORMAL, reason })
    })
  }

  send(frame: ClientFrame): void {
    if (this.#socket === undefined || this.#codec === undefined) return
    const data = this.#codec.encode(frame)
    if (isLarger(data, this.#maxBytes)) {
      // The server would close the connection, for good, and with it all sessions.
      const message = 'The command is larger than the server takes.'
      const id = 'id' in frame ? { id: frame.id } : {}
      queueMicrotask(() => this.#hand([{ type: 'error', ...id, code: 'too_large', message, retryable: false }]))
      return
    }
    this.#socket.send(data)
  }

  close(): void {
    this.#closed = true
    if (this.#socket !== undefined) hangUp(this.#socket)
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
      const client = { name: '@parley/client', version: CLIENT_VERSION }
      if (token === undefined) this.send({ type: 'hello', client: { ...client, id: this.#options.client() } })
      else this.send({ type: 'hello', client, token })
    }
    socket.onmessage = (event) => this.#message(codec, event.data)
    socket.onclose = ({ code, reason }) => {
      const told = !mayReconnect(code) || code >= 4500
      this.#lost({ kind: told ? 'told' : this.#welcomed ? 'broken' : 'unreached', code, reason })
    }
    // A failure is always followed by a close event, which says what there is to say.
    socket.onerror = () => undefined
  }

  #message(codec: FrameCodec, data: unknown): void {
    if (this.#closed) return
    let frames: readonly ServerFrame[]
    try {
      frames = codec.decode(data)
    } catch (error) {
      this.#options.logger?.warn({ err: error }, 'the server sent something that is no frame')
      this.#lost({ kind: 'broken', code: ABNORMAL, reason: 'The server sent something that is no frame.' })
      return
    }
    if (!this.#welcomed) {
      const welcome = frames.find((frame) => frame.type === 'welcome')
      this.#welcomed = welcome !== undefined
      this.#maxBytes = welcome?.limits.frameBytes ?? LIMITS.frameBytes
    }
    this.#hand(frames.filter((frame) => !this.#isAboutToken(frame)))
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
    if (frame.type === 'error') this.#options.logger?.warn({ code: frame.code }, 'the fresh token was not taken')
    return true
  }

  /** The token's time is nearly over. Without a fresh one the server ends the connection. */
  async #renew(): Promise<void> {
    try {
      const token = await this.#options.token()
      if (this.#closed || token === undefined || token === this.#token) return
      this.#token = token
      this.#renewal = makeId('tok')
      this.send({ type: 'token', id: this.#renewal, token })
    } catch (error) {
      this.#options.logger?.warn({ err: error }, 'no fresh token could be had')
    }
  }

  #hand(frames: readonly ServerFrame[]): void {
    if (!this.#closed) this.#handler.frames(frames)
  }

  #lost(loss: Loss): void {
    if (this.#closed) return
    this.close()
    this.#handler.lost(loss)
  }
}

/** Most messages are far from it, and need not be measured. */
function isLarger(data: string | Uint8Array, maxBytes: number): boolean {
  if (typeof data !== 'string') return data.byteLength > maxBytes
  return data.length * 3 > maxBytes && new TextEncoder().encode(data).byteLength > maxBytes
}

const CLOSING = 2

function hangUp(socket: WebSocketLike): void {
  if (socket.readyState >= CLOSING) return
  // A peer that does not answer would keep the closing socket for long; `ws` can end it.
  socket.close(NORMAL)
  if (socket.terminate !== undefined) setTimeout(() => socket.terminate?.(), HANG_UP_MS).unref?.()
}

const HANG_UP_MS = 2_000
