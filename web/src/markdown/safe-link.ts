// SafeLink: decides which URLs in foreign text may become links or images. Links are absolute with a known protocol: a
// relative URL would point into this site, and a script URL would run code. Pure.

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

const SMALL_PICTURE = /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}$/

/** Whether the URL contains a picture of that type. It needs no request. SVG could contain a script. */
export function isSmallPicture(url: string, mediaType: string): boolean {
  return url.startsWith(`data:${mediaType};`) && SMALL_PICTURE.test(url)
}

export interface SafeImage {
  readonly url: string
  readonly host: string
  /** Whether it is one of this server's files. */
  readonly isOwn: boolean
}

/** Paths of the server's API. No image is there, and a request would reach it. */
const API = '/v1/'

/**
 * @param origin of the page
 * @returns an image over HTTPS, or one of the files of the page's own server; undefined for any other
 */
export function safeImage(url: string, origin: string): SafeImage | undefined {
  const isPath = /^\/(?![/\\])/.test(url)
  const href = safeLink(isPath ? origin + url : url)
  if (href === undefined) return undefined
  const parsed = new URL(href)
  const isOwn = parsed.origin === origin
  if (isOwn ? parsed.pathname.startsWith(API) : parsed.protocol !== 'https:') return undefined
  return { url: href, host: parsed.host, isOwn }
}
