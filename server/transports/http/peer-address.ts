// What a uWS response tells of where its request comes from; to be read before the handler returns.
import type { HttpResponse } from 'uWebSockets.js'
import type { PeerAddress } from './client-address.ts'

/** @param forwarded the request's `X-Forwarded-For` */
export function peerAddressOf(response: HttpResponse, forwarded: string): PeerAddress {
  return {
    remote: new Uint8Array(response.getRemoteAddress()),
    proxied: new Uint8Array(response.getProxiedRemoteAddress()),
    forwarded,
  }
}
