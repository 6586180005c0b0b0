// Origins: which web pages may talk to this server. Programs send no Origin header and are not concerned.
// Where everybody is anonymous, a page's own host name proves nothing (a foreign name may be made to point
// to 127.0.0.1), so then only pages of this machine and those that are configured may.
export interface OriginRules {
  /** As browsers write them, such as `https://chat.example.com`; `*`: all. */
  readonly allowed: readonly string[]
  /** Whether a connection needs a token. */
  readonly authenticated: boolean
}

/** @param origin the Origin header, or '' @param host the Host header */
export function originAllowed(rules: OriginRules, origin: string, host: string): boolean {
  if (origin === '') return true
  if (rules.allowed.includes('*') || rules.allowed.includes(origin)) return true
  const page = parseOrigin(origin)
  if (page === undefined) return false
  if (isLoopbackName(page.hostname)) return true
  return rules.authenticated && page.host === host.toLowerCase()
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
