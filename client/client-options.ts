// ClientOptions: how a client reaches its server, and the bounds it keeps.
import type { CodecName } from '@parley/protocol'
import type { ReconnectPolicy } from './backoff.ts'
import type { Door, DoorPolicy, DoorStorage } from './transport/door.ts'
import type { WebSocketConstructor } from './transport/websocket/web-socket.ts'

export const CLIENT_VERSION = '0.1.0'

export interface ClientOptions {
  /** `http(s)://…` or `ws(s)://…`; without a path, `/v1/ws` is taken. The HTTP doors are found beside it. */
  readonly url: string
  /**
   * How the client reaches the server. `auto`, the default: over a WebSocket, and where that does not work over
   * server-sent events or long polls with commands by POST, in the order that the server prefers, where it runs an
   * experiment with that; `client.state.transport` says which. A door that is named is the only one.
   */
  readonly transport?: 'auto' | Door
  /** When `auto` gives a door up, and when it looks for a better one. */
  readonly doors?: Partial<DoorPolicy>
  /**
   * Where `auto` remembers what worked, and where an id is kept by which servers without tokens tell clients apart in
   * experiments. Default: `localStorage` in a browser, nothing on Node.
   */
  readonly storage?: DoorStorage
  /**
   * Asked for on each connection, and when the time of the one that was given is nearly over, so that a token may be a
   * fresh one. Sent in `hello`, and with each HTTP request.
   */
  readonly token?: string | (() => string | Promise<string>)
  /**
   * When the server does not take the token, or not any more (close code 4401): `close`, the default, ends the client.
   * `wait` keeps the sessions, with what was not sent yet, until `renew` says that there is another token.
   */
  readonly whenTurnedAway?: 'close' | 'wait'
  /** Default `json`. */
  readonly codec?: CodecName
  /** Default: the platform's own in a browser, the package `ws` on Node. */
  readonly WebSocket?: WebSocketConstructor
  /** Default: the platform's own. */
  readonly fetch?: typeof fetch
  readonly reconnect?: Partial<ReconnectPolicy>
  /** Is told about connections coming and going; never any content. */
  readonly logger?: Logger
  /** Commands that may wait for their answer; beyond, they are refused with `too_many_pending`. Default 1000. */
  readonly maxPending?: number
  /** Milliseconds within which a connection has to be open. Default 10,000. */
  readonly connectTimeoutMs?: number
  /** Time and chance, so that tests can hold them. */
  readonly clock?: Clock
}

export interface Logger {
  debug(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface Clock {
  /** Unix milliseconds. */
  now(): number
  /** From 0 up to 1. */
  random(): number
  /** @returns a function that cancels it */
  after(ms: number, callback: () => void): () => void
}

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

export const DEFAULT_MAX_PENDING = 1_000
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000

/** Where the paths of the HTTP doors begin: the address without the WebSocket's own path, and without a last `/`. */
export function httpUrl(url: string): string {
  const { protocol, host, pathname } = new URL(socketUrl(url))
  return `${protocol === 'wss:' ? 'https' : 'http'}://${host}${pathname.replace(/\/(v1\/ws\/?)?$/, '')}`
}

/** @throws TypeError for an address that is no http or ws URL */
export function socketUrl(url: string): string {
  const parsed = new URL(url)
  if (parsed.protocol === 'http:') parsed.protocol = 'ws:'
  else if (parsed.protocol === 'https:') parsed.protocol = 'wss:'
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') throw new TypeError(`not an http or ws URL: ${url}`)
  if (parsed.pathname === '/') parsed.pathname = '/v1/ws'
  parsed.hash = ''
  return parsed.href
}
