// The upgrade of a WebSocket: what the request offers, and why it may be refused before there is a socket.
// Everything is read from the request at once, because uWS takes it back when the handler returns.

import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { type CodecName, parseTraceparent, SUBPROTOCOLS, TOKEN_SUBPROTOCOL_PREFIX } from '@parley/protocol'
import { bearerOf } from '../http/bearer.ts'
import { clientKey, type TrustedProxies } from '../http/client-address.ts'
import { peerAddressOf } from '../http/peer-address.ts'

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
  /** Of which trace the connection is a part, where that is told. */
  readonly trace: string | undefined
}

/** What of it a connection begins with. */
export type ConnectionStart = Pick<UpgradeRequest, 'codec' | 'token' | 'address' | 'trace'>

export function readUpgrade(
  response: HttpResponse,
  request: HttpRequest,
  proxies: TrustedProxies | undefined,
): UpgradeRequest {
  const offered = request
    .getHeader('sec-websocket-protocol')
    .split(',')
    .map((name) => name.trim())
  const protocol = offered.find((name) => name === SUBPROTOCOLS.json || name === SUBPROTOCOLS.msgpack) ?? ''
  const offeredToken = offered.find((name) => name.startsWith(TOKEN_SUBPROTOCOL_PREFIX))
  const trace = request.getHeader('traceparent')
  const bearer = bearerOf(request.getHeader('authorization'))
  return {
    key: request.getHeader('sec-websocket-key'),
    extensions: request.getHeader('sec-websocket-extensions'),
    origin: request.getHeader('origin'),
    host: request.getHeader('host'),
    address: clientKey(peerAddressOf(response, request.getHeader('x-forwarded-for')), proxies),
    token: bearer ?? offeredToken?.slice(TOKEN_SUBPROTOCOL_PREFIX.length),
    codec: protocol === SUBPROTOCOLS.msgpack ? 'msgpack' : 'json',
    protocol,
    trace: parseTraceparent(trace) === undefined ? undefined : trace,
  }
}
