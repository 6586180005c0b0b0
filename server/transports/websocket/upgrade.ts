// Reads the upgrade request of a WebSocket. Everything is read at once, because uWS frees the request when the handler
// returns.

import { type CodecName, parseTraceparent, SUBPROTOCOLS, TOKEN_SUBPROTOCOL_PREFIX } from '@parley/protocol'
import { clientKey, peerAddressOf, type TrustedProxies } from '../http/client-address.ts'
import { HttpError } from '../http/http-error.ts'
import { bearerOf } from '../http/http-request.ts'
import type { HttpRequest, HttpResponse } from '../uws.ts'

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

/** RFC 6455, section 4.1. */
const VERSION = '13'

/**
 * Checks the headers that make a request a WebSocket handshake (RFC 6455, section 4.2.1; RFC 9110, section 7.8). uWS
 * itself only looks at Sec-WebSocket-Key, which proxies pass on when they drop Upgrade and Connection.
 * @returns undefined for a valid handshake, else the error that names the missing header
 */
export function upgradeError(request: HttpRequest): HttpError | undefined {
  for (const [header, token] of [
    ['upgrade', 'websocket'],
    ['connection', 'upgrade'],
  ] as const) {
    if (tokensOf(request, header).includes(token)) continue
    const name = header === 'upgrade' ? 'Upgrade: websocket' : 'Connection: Upgrade'
    return upgradeRequired(`The header "${name}" is missing. If the client sent it, a proxy removed it.`)
  }
  if (request.getHeader('sec-websocket-version') === VERSION) return undefined
  return upgradeRequired(`The header "Sec-WebSocket-Version: ${VERSION}" is required.`)
}

/** The answer contains the supported version, as RFC 6455, section 4.4 requires. */
export function upgradeRequired(detail?: string): HttpError {
  const headers = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': VERSION }
  return new HttpError('upgrade_required', detail, { headers })
}

/** The elements of a list header in lower case. The header may be repeated. */
function tokensOf(request: HttpRequest, header: string): string[] {
  const tokens: string[] = []
  request.forEach((name, value) => {
    if (name === header) for (const token of value.split(',')) tokens.push(token.trim().toLowerCase())
  })
  return tokens
}

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
