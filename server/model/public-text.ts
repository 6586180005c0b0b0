// publicText: a provider's own words, as people may read them. Secrets, addresses and control characters are removed.
import { cutText, wellFormed } from '@parley/protocol'

const REMOVED = '[removed]'
/** UTF-16 code units. */
const MAX_TEXT = 500
/** UTF-16 code units that are searched for secrets. */
const MAX_SEARCHED = 4_000
/** A shorter secret, such as the key of a local server, may be a word of any sentence, unless a port follows it. */
const MIN_SECRET = 8

const SECRETS: readonly RegExp[] = [
  // Addresses: a scheme and what follows, or IPv4 with its port.
  /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s"'<>)]+/gi,
  /\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b/g,
  /\b(?:bearer|basic)\s+[\w.~+/=-]{8,}/gi,
  /\b(?:api[-_ ]?key|access[-_ ]?token|token|secret|password|authorization)\b["']?\s*[:=]\s*["']?[^\s"',;}]+/gi,
  // Keys by their usual beginnings; providers mask the middle with asterisks.
  /\b(?:(?:sk|pk|rk|gsk|xai|hf|nvapi|ghp|glpat|pplx|key|org|proj)[-_]|AIza|AKIA)[\w*.-]{8,}/g,
  /\beyJ[\w-]{8,}(?:\.[\w-]+)*/g,
]

/** @param secrets texts that are removed wherever they occur: keys, host names */
export function publicText(text: string, secrets: readonly string[] = []): string {
  let words = wellFormed(text.slice(0, MAX_SEARCHED))
  for (const secret of secrets) if (secret !== '') words = words.replaceAll(occurrences(secret), REMOVED)
  for (const pattern of SECRETS) words = words.replaceAll(pattern, REMOVED)
  return cutText(words.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim(), MAX_TEXT)
}

function occurrences(secret: string): RegExp {
  const text = secret.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  return new RegExp(secret.length >= MIN_SECRET ? `${text}(?::\\d+)?` : `(?<![\\w.-])${text}:\\d+`, 'gi')
}
