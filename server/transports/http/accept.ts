// Content negotiation by the Accept header (RFC 9110, section 12.5.1). Pure.
import { HttpError } from './http-error.ts'

interface Range {
  readonly type: string
  readonly q: number
}

/**
 * @param accept the header; undefined accepts anything
 * @param offered the first one wins if the client has no preference
 * @throws HttpError not_acceptable
 */
export function negotiate<T extends string>(accept: string | undefined, offered: readonly T[]): T {
  const ranges = (accept ?? '*/*').split(',').map(asRange)
  let best: { readonly type: T; readonly q: number } | undefined
  for (const type of offered) {
    const q = quality(type, ranges)
    if (q > 0 && (best === undefined || q > best.q)) best = { type, q }
  }
  if (best === undefined) throw new HttpError('not_acceptable', `Available media types: ${offered.join(', ')}.`)
  return best.type
}

function asRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const given = parameters.find((parameter) => parameter.startsWith('q='))
  const q = given === undefined ? 1 : Number(given.slice(2))
  return { type, q: Number.isFinite(q) ? q : 0 }
}

/** The quality of the most specific range that matches the type. */
function quality(type: string, ranges: readonly Range[]): number {
  const group = `${type.split('/')[0]}/*`
  for (const name of [type, group, '*/*']) {
    const range = ranges.find((candidate) => candidate.type === name)
    if (range !== undefined) return range.q
  }
  return 0
}
