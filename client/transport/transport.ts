// Transport: the port between a Connection and what carries its frames: a WebSocket, or HTTP requests with a stream or
// polls beside them. A link is used once: it opens with a `welcome` frame, and after `lost`, or `close`, it is silent.
import type { ClientFrame, CodecName, ServerFrame } from '@parley/protocol'
import type { ReconnectPolicy } from '../backoff.ts'
import type { Clock, Logger } from '../client-options.ts'
import type { Door, DoorPolicy } from './door.ts'
import type { WebSocketConstructor } from './websocket/web-socket.ts'

/**
 * What the loss of a link says about its door.
 * `unreached`: it never opened. `broken`: it was open. `stalled`: what the server sends does not come through in time.
 * `refused`: something on the way does not let the server's stream through. `told`: the server said so, and the door
 * is none the worse for it.
 */
export type LossKind = 'unreached' | 'broken' | 'stalled' | 'refused' | 'told'

export interface Loss {
  readonly kind: LossKind
  /** As of a WebSocket: 44xx means not to come back. */
  readonly code: number
  readonly reason: string
  /** Milliseconds: not to come back before. */
  readonly retryAfterMs?: number
  /** Milliseconds for which it held, where the link knows better than its connection. */
  readonly heldMs?: number
}

export interface TransportHandler {
  /** What came together, in its order. */
  frames(frames: readonly ServerFrame[]): void
  /** Once. */
  lost(loss: Loss): void
}

export interface Transport {
  /** What cannot be sent is answered by an `error` frame, or by the loss of the link. */
  send(frame: ClientFrame): void
  close(): void
  /**
   * After `close`, where the client does not come back under the same name: the server need not wait for it. A
   * WebSocket says so by its end.
   */
  leaveForGood?(): void
  /** Asks for the token again, and gives the server what is new. */
  renew(): void
}

export interface TransportOptions {
  readonly url: string
  /** Asked anew for each link, and when a token is no longer taken. */
  readonly token: () => Promise<string | undefined>
  readonly codec: CodecName
  readonly WebSocket: WebSocketConstructor | undefined
  readonly fetch: typeof fetch
  readonly clock: Clock
  readonly logger: Logger | undefined
  readonly reconnect: ReconnectPolicy
  readonly doors: DoorPolicy
  /** The name of this client towards the HTTP doors; the same for all its links. */
  readonly connection: string
  /** What a server may tell this client by to which it has no token; the same for all its lives, where they are kept. */
  readonly client: () => string
}

/** Opens a link through a door; it calls nobody before it has returned. */
export type OpenTransport = (door: Door, options: TransportOptions, handler: TransportHandler) => Transport

/** The code of a loss without a close frame (RFC 6455, section 7.1.5). */
export const ABNORMAL = 1006
export const NORMAL = 1000
