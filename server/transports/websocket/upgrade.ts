// Reads the upgrade request of a WebSocket. Everything is read at once, because uWS frees the request when the handler
// returns.

import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { type CodecName, parseTraceparent, SUBPROTOCOLS, TOKEN_SUBPROTOCOL_PREFIX } from '@parley/protocol'
import { clientKey, peerAddressOf, type TrustedProxies } from '../http/client-address.ts'
import { bearerOf } from '../http/http-request.ts'

export interface UpgradeRequest {
  readonly key: string
  readonly extensions: string
  readonly origin: string
  readonly host: string
  /** The client's address, as the limits count it. */
  readonly address: string
  readonly token: string | undefined
  readonly codec: CodecName
  /** The subprotocol to echo; '' if the client offered no supported one. */
  readonly protocol: string
  /** A valid `traceparent` header. */
  readonly trace: string | undefined
}

/** The part that the connection needs. */
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
