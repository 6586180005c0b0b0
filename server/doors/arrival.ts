// What a uWS response tells of where its request comes from; to be read before the handler returns.
import type { HttpResponse } from 'uWebSockets.js'
import type { Arrival } from './address.ts'

/** @param forwarded the request's `X-Forwarded-For` */
export function arrivalOf(response: HttpResponse, forwarded: string): Arrival {
  return {
    remote: new Uint8Array(response.getRemoteAddress()),
    proxied: new Uint8Array(response.getProxiedRemoteAddress()),
    forwarded,
  }
}
