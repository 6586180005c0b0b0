// Origins: which web pages may call this server, for WebSockets and for CORS. Other programs send no Origin header. Access
// tokens travel in a header and never in cookies, so CORS responses do not allow credentials. If every user is anonymous,
// the Host header must name this machine: a foreign name may resolve to 127.0.0.1 (DNS rebinding), and its pages send no
// Origin then.
import { ReplyError } from '@parley/protocol'
import type { Headers } from './response-head.ts'

export interface OriginRules {
  /** As browsers write them, such as `https://chat.example.com`; `*` allows every origin. */
  readonly allowed: readonly string[]
  /** Whether a connection needs an access token. */
  readonly authenticated: boolean
}

const EXPOSED =
  'Location, Retry-After, ETag, X-Request-Id, Preference-Applied, Parley-Cursor, Idempotent-Replayed, WWW-Authenticate, X-Should-Retry, Parley-Notices, Mcp-Session-Id'
const PREFLIGHT_S = '600'
const HEADER_NAMES = /^[\w-]+(?: *, *[\w-]+)*$/

/** @param origin the Origin header, or '' @param host the Host header */
export function originAllowed(rules: OriginRules, origin: string, host: string): boolean {
  if (origin === '') return true
  if (rules.allowed.includes('*') || rules.allowed.includes(origin)) return true
  const page = parseOrigin(origin)
  if (page === undefined) return false
  if (isLoopbackName(page.hostname)) return true
  // Without access tokens, an origin equal to the host proves nothing: see DNS rebinding above.
  return rules.authenticated && page.host === host.toLowerCase()
}

/** @param origin the Origin header, or '' @param host the Host header */
export function mayCall(rules: OriginRules, origin: string, host: string): boolean {
  if (!originAllowed(rules, origin, host)) return false
  if (rules.authenticated || origin !== '' || host === '' || rules.allowed.includes('*')) return true
  const requested = URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined
  if (requested === undefined) return false
  return isLoopbackName(requested.hostname) || rules.allowed.some((allowed) => new URL(allowed).host === requested.host)
}

/**
 * The error of a refused request: it says what to configure, because a wrong Host header of a proxy has the same effect as
 * a missing entry in the settings.
 * @param origin the Origin header, or '' if the host was refused
 */
export function originError(rules: OriginRules, origin: string): ReplyError {
  const words =
    origin === ''
      ? 'This host name is not allowed. Without access tokens, the server answers only to local names and to the hosts in PARLEY_ORIGINS.'
      : rules.authenticated
        ? 'The address of this page is not allowed. Add its origin to PARLEY_ORIGINS. If this server provides the page, the proxy must pass on the Host header.'
        : 'The address of this page is not allowed. Add its origin to PARLEY_ORIGINS.'
  return new ReplyError('origin_not_allowed', words)
}

/** @param origin an allowed origin, or '' */
export function corsHeaders(origin: string): Headers {
  if (origin === '') return {}
  return { 'Access-Control-Allow-Origin': origin, Vary: 'Origin', 'Access-Control-Expose-Headers': EXPOSED }
}

/** @param requested the Access-Control-Request-Headers header @param methods the methods of the path */
export function preflightHeaders(origin: string, requested: string, methods: readonly string[]): Headers {
  return {
    ...corsHeaders(origin),
    'Access-Control-Allow-Methods': methods.join(', '),
    ...(HEADER_NAMES.test(requested) ? { 'Access-Control-Allow-Headers': requested } : {}),
    'Access-Control-Max-Age': PREFLIGHT_S,
  }
}

/** Whether a host name or address is this machine's own. */
export function isLoopbackName(hostname: string): boolean {
  const name = hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)
}

function parseOrigin(origin: string): URL | undefined {
  const page = URL.canParse(origin) ? new URL(origin) : undefined
  return page?.protocol === 'http:' || page?.protocol === 'https:' ? page : undefined
}
