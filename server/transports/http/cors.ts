// CORS: what pages of other origins may do, by the origin list that guards the WebSocket, too. Tokens travel in a header
// and never in cookies, so credentials are not allowed for. Where everybody is anonymous, the host that was asked for
// has to be this machine's: a foreign name can be made to point here, and its pages then send no Origin (DNS rebinding).

import { isLoopbackName, type OriginRules, originAllowed } from './origin.ts'
import type { Headers } from './response-head.ts'

const EXPOSED =
  'Location, Retry-After, ETag, X-Request-Id, Preference-Applied, Parley-Cursor, Idempotent-Replayed, WWW-Authenticate'
const PREFLIGHT_S = '600'
const HEADER_NAMES = /^[\w-]+(?: *, *[\w-]+)*$/

/** @param origin the Origin header, or '' @param host the Host header */
export function mayCall(rules: OriginRules, origin: string, host: string): boolean {
  if (!originAllowed(rules, origin, host)) return false
  if (rules.authenticated || origin !== '' || host === '' || rules.allowed.includes('*')) return true
  const asked = URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined
  if (asked === undefined) return false
  return isLoopbackName(asked.hostname) || rules.allowed.some((allowed) => new URL(allowed).host === asked.host)
}

/** For an origin that may call. */
export function corsHeaders(origin: string): Headers {
  if (origin === '') return {}
  return { 'Access-Control-Allow-Origin': origin, Vary: 'Origin', 'Access-Control-Expose-Headers': EXPOSED }
}

/** @param asked the headers that the page wants to send @param methods that the address takes */
export function preflightHeaders(origin: string, asked: string, methods: readonly string[]): Headers {
  return {
    ...corsHeaders(origin),
    'Access-Control-Allow-Methods': methods.join(', '),
    ...(HEADER_NAMES.test(asked) ? { 'Access-Control-Allow-Headers': asked } : {}),
    'Access-Control-Max-Age': PREFLIGHT_S,
  }
}
