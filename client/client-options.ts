// ClientOptions: how a client reaches its server, and the bounds it keeps.
import type { CodecName } from '@parley/protocol'
import type { ReconnectPolicy } from './connection-state.ts'
import type { WebSocketConstructor } from './web-socket.ts'

export interface ClientOptions {
  /** `http(s)://…` or `ws(s)://…`; without a path, `/v1/ws` is taken. */
  readonly url: string
  /** Asked for on each connection, so that a token may be a fresh one. Sent in `hello`. */
  readonly token?: string | (() => string | Promise<string>)
  /** Default `json`. */
  readonly codec?: CodecName
  /** Default: the platform's own in a browser, the package `ws` on Node. */
  readonly WebSocket?: WebSocketConstructor
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

export const DEFAULT_RECONNECT: ReconnectPolicy = {
  baseMs: 250,
  maxMs: 15_000,
}
export const DEFAULT_MAX_PENDING = 1_000
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000

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
