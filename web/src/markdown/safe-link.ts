// SafeLink: decides which URLs in foreign text may become links: absolute ones with a known protocol. A relative URL
// would point into this site, and a script URL would run code. Pure.

const PROTOCOLS: ReadonlySet<string> = new Set(['http:', 'https:', 'mailto:'])
const MAX_LENGTH = 4_096

/** @returns the URL as the browser parses it, so that the page shows the real target; undefined if it is unsafe */
export function safeLink(url: string): string | undefined {
  if (url.length > MAX_LENGTH) return undefined
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    // Relative or malformed.
    return undefined
  }
  // A user name can make the URL look like another host's.
  if (!PROTOCOLS.has(parsed.protocol) || parsed.username !== '' || parsed.password !== '') return undefined
  return parsed.href
}
