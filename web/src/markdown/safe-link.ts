// SafeLink: which addresses of a text that others wrote may become links. Pure. Only absolute ones of known protocols:
// a relative one would point into this site, and a script is no place to go to.

const PROTOCOLS: ReadonlySet<string> = new Set(['http:', 'https:', 'mailto:'])
const MAX_LENGTH = 4_096

/** @returns the address as the browser reads it, so that what is shown is where it leads; undefined: no link */
export function safeLink(url: string): string | undefined {
  if (url.length > MAX_LENGTH) return undefined
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    // Relative, or nothing that a browser could follow.
    return undefined
  }
  // A name before the host is there to make it look like another one.
  if (!PROTOCOLS.has(parsed.protocol) || parsed.username !== '' || parsed.password !== '') return undefined
  return parsed.href
}
