// Transport: the port between a Connection and a WebSocket, or HTTP requests with a stream or polls. A transport object
// is used once: it starts with a `welcome` frame, and is silent after `lost` or `close`.
import type { ClientFrame, CodecName, ServerFrame } from '@parley/protocol'
import { DEFAULT_RECONNECT, type ReconnectPolicy } from '../backoff.ts'
import { clientId } from '../client-id.ts'
import type { ClientOptions, Clock, Logger, WebSocketConstructor } from '../client-options.ts'
import { httpUrl, SYSTEM_CLOCK } from '../client-options.ts'
import { makeId } from '../make-id.ts'
import { DEFAULT_POLICY, type DoorPolicy, type DoorStorage } from './door.ts'

/**
 * What a loss says about the transport.
 * `unreachable`: it never opened. `broken`: it was open. `stalled`: the server's output arrives too late.
 * `refused`: an intermediary blocks the server's stream. `by-server`: the server ended it, which says nothing against
 * the transport.
 */
export type LossKind = 'unreachable' | 'broken' | 'stalled' | 'refused' | 'by-server'

export interface Loss {
  readonly kind: LossKind
  /** A WebSocket close code: 44xx forbids a reconnect. */
  readonly code: number
  readonly reason: string
  /** It neither opened nor failed within the client's own timeout. */
  readonly silent?: boolean
  /** Something other than the server answered. */
  readonly foreign?: boolean
  /** Milliseconds to wait before a reconnect. */
  readonly retryAfterMs?: number | undefined
  /** Milliseconds for which it worked, if the transport knows better than the connection. */
  readonly openMs?: number | undefined
}

export interface TransportHandler {
  /** A WebSocket has opened. Browsers may have delayed it, so the time for the server's `welcome` starts now. */
  connected?(): void
  /** Receives frames that arrived together, in order. */
  frames(frames: readonly ServerFrame[]): void
  /** Called once. */
  lost(loss: Loss): void
}

export interface Transport {
  /** A frame that cannot be sent leads to an `error` frame, or to the loss of the transport. */
  send(frame: ClientFrame): void
  close(): void
  /**
   * Called after `close` if the client does not reconnect under the same name: the server may offer its tool calls to
   * others. A WebSocket needs no such message, because its end has the same effect.
   */
  releaseTools?(): void
  /** Asks for the access token again, and sends a new one to the server. */
  renew(): void
}

/** The options that all transports of one client share. */
export interface TransportOptions {
  readonly url: string
  /** Called for each transport, and when the server rejects the access token. */
  readonly token: () => Promise<string | undefined>
  readonly codec: CodecName
  readonly WebSocket: WebSocketConstructor | undefined
  readonly fetch: typeof fetch
  readonly clock: Clock
  readonly logger: Logger | undefined
  readonly reconnect: ReconnectPolicy
  readonly policy: DoorPolicy
  /** This client's name over HTTP, shared by all its transports. */
  readonly connection: string
  /** The id that a server without authentication gets; constant as long as the storage keeps it. */
  readonly client: () => string
}

/** @throws TypeError for an invalid URL */
export function transportOptions(options: ClientOptions, storage: DoorStorage | undefined): TransportOptions {
  const { url, token, codec = 'json' } = options
  return {
    url,
    codec,
    token: async () => (typeof token === 'function' ? token() : token),
    WebSocket: options.WebSocket,
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
    clock: options.clock ?? SYSTEM_CLOCK,
    logger: options.logger,
    reconnect: { ...DEFAULT_RECONNECT, ...options.reconnect },
    policy: { ...DEFAULT_POLICY, ...options.doors },
    connection: makeId('con'),
    client: clientId(storage, httpUrl(url)),
  }
}

/** The code of a loss without a close frame (RFC 6455, section 7.1.5). */
export const ABNORMAL = 1006
export const NORMAL = 1000
