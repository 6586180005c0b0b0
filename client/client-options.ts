// ClientOptions: how a client reaches its server, which limits it keeps, and what it takes from its platform.
import type { CodecName } from '@parley/protocol'
import type { ReconnectPolicy } from './backoff.ts'
import type { Door, DoorPolicy, DoorStorage } from './transport/door.ts'

export const CLIENT_VERSION = '0.1.0'

export interface ClientOptions {
  /**
   * The server's address: `http(s)://…` or `ws(s)://…`. Without a path the client uses `/v1/ws`. It finds the HTTP
   * transports at the same origin and under the same path prefix.
   * @example 'https://chat.example.com'
   */
  readonly url: string
  /**
   * How the client reaches the server. `auto`, the default, uses a WebSocket and falls back to server-sent events or
   * long polling (with commands by POST). A server that runs an experiment may prefer another order.
   * `client.state.transport` names the transport in use. A named transport is the only one that the client tries.
   */
  readonly transport?: 'auto' | Door
  /** When `auto` leaves a transport, and when it probes for a better one. */
  readonly doors?: Partial<DoorPolicy>
  /**
   * Where `auto` remembers the transport that worked, and where the client keeps the id that servers without
   * authentication use in experiments. Default: `localStorage` in a browser, nothing on Node.
   */
  readonly storage?: DoorStorage
  /**
   * The access token, sent in `hello` and with each HTTP request. The client calls a function on each connection and
   * shortly before the current token expires, so it can return a fresh token.
   */
  readonly token?: string | (() => string | Promise<string>)
  /**
   * What happens when the server rejects an access token or the token expires (close code 4401). `close`, the default,
   * ends the client. `wait` keeps the sessions and their unsent messages until `renew` announces another token.
   */
  readonly whenTurnedAway?: 'close' | 'wait'
  /** The encoding of frames on a WebSocket. Default `json`. */
  readonly codec?: CodecName
  /** Default: the platform's WebSocket in a browser, the package `ws` on Node. */
  readonly WebSocket?: WebSocketConstructor
  /** Default: the platform's `fetch`. */
  readonly fetch?: typeof fetch
  /** How long the client waits between reconnects, and when it gives up. */
  readonly reconnect?: Partial<ReconnectPolicy>
  /** Receives messages about connections. They never contain content of a session. */
  readonly logger?: Logger
  /** Limit of unanswered commands; the client rejects further ones with `too_many_pending`. Default 1,000. */
  readonly maxPending?: number
  /** Timeout of opening a connection, in milliseconds. Default 10,000. */
  readonly connectTimeoutMs?: number
  /** Time and randomness, which tests control. */
  readonly clock?: Clock
}

/** The two methods that the client calls; pino and similar loggers fit. */
export interface Logger {
  debug(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface Clock {
  /** Unix milliseconds. They must not jump: the client measures silence and timeouts by them. */
  now(): number
  /** A number from 0 (included) to 1 (excluded). */
  random(): number
  /** Calls back after `ms` milliseconds. @returns a function that cancels the timer */
  after(ms: number, callback: () => void): () => void
}

/** The part of a WebSocket that the SDK uses: the standard one and that of `ws` both fit. */
export interface WebSocketLike {
  binaryType: string
  readonly readyState: number
  readonly protocol: string
  onopen: ((event: never) => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
  onerror: ((event: never) => void) | null
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  /** Ends the socket without the closing handshake. Only `ws` has it. */
  terminate?(): void
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike

/** The wall clock as of the start. It does not follow later steps of the wall clock. */
const STARTED_AT = Date.now() - performance.now()

/** The clock of a client without a `clock` option. */
export const SYSTEM_CLOCK: Clock = {
  now: () => STARTED_AT + performance.now(),
  random: () => Math.random(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

export const DEFAULT_MAX_PENDING = 1_000
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000

/** The base URL of the HTTP transports: the address without the WebSocket's own path and without a trailing `/`. */
export function httpUrl(url: string): string {
  const { protocol, host, pathname } = new URL(socketUrl(url))
  return `${protocol === 'wss:' ? 'https' : 'http'}://${host}${pathname.replace(/\/(v1\/ws\/?)?$/, '')}`
}

/** The URL of the WebSocket. @throws TypeError for an address that is not an http or ws URL */
export function socketUrl(url: string): string {
  const parsed = new URL(url)
  if (parsed.protocol === 'http:') parsed.protocol = 'ws:'
  else if (parsed.protocol === 'https:') parsed.protocol = 'wss:'
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') {
    throw new TypeError(`Invalid URL: ${url}. Use http, https, ws or wss.`)
  }
  if (parsed.pathname === '/') parsed.pathname = '/v1/ws'
  parsed.hash = ''
  return parsed.href
}
