// The upgrade of a WebSocket: what the request offers, and why it may be refused before there is a socket.
// Everything is read from the request at once, because uWS takes it back when the handler returns.

import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { type CodecName, SUBPROTOCOLS, TOKEN_SUBPROTOCOL_PREFIX } from '@parley/protocol'

export interface UpgradeRequest {
  readonly key: string
  readonly extensions: string
  readonly origin: string
  readonly host: string
  /** What is counted as one address. */
  readonly address: string
  readonly token: string | undefined
  readonly codec: CodecName
  /** The subprotocol to echo; '' when none of ours was offered. */
  readonly protocol: string
}

const BEARER = /^Bearer +([^\s]+) *$/i

export function readUpgrade(response: HttpResponse, request: HttpRequest): UpgradeRequest {
  const offered = request
    .getHeader('sec-websocket-protocol')
    .split(',')
    .map((name) => name.trim())
  const protocol = offered.find((name) => name === SUBPROTOCOLS.json || name === SUBPROTOCOLS.msgpack) ?? ''
  const offeredToken = offered.find((name) => name.startsWith(TOKEN_SUBPROTOCOL_PREFIX))
  const bearer = BEARER.exec(request.getHeader('authorization'))?.[1]
  return {
    key: request.getHeader('sec-websocket-key'),
    extensions: request.getHeader('sec-websocket-extensions'),
    origin: request.getHeader('origin'),
    host: request.getHeader('host'),
    address: addressKey(new Uint8Array(response.getRemoteAddress())),
    token: bearer ?? offeredToken?.slice(TOKEN_SUBPROTOCOL_PREFIX.length),
    codec: protocol === SUBPROTOCOLS.msgpack ? 'msgpack' : 'json',
    protocol,
  }
}

/** An IPv4 address, also when mapped into IPv6; or the /64 network that a host of IPv6 has for itself. */
export function addressKey(bytes: Uint8Array): string {
  const isMapped = bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255
  if (bytes.length === 4 || isMapped) return bytes.subarray(-4).join('.')
  return Buffer.from(bytes.subarray(0, 8)).toString('hex')
}
