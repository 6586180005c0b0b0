// ClaimHeaders: headers of requests to servers that people configure, with claims of the sender's access token: `{claim:name}`. So each
// person uses such a server in their own name.
import { z } from 'zod'

const CLAIM = /\{claim:([^{}]+)\}/g
/** RFC 9110, section 5.5, without tabs and bytes beyond ASCII. */
const HEADER_VALUE = /^[ -~]*$/

export type Headers = Readonly<Record<string, string>>
export const HeadersForm = z.record(z.string().regex(/^[!#$%&'*+.^`|~\w-]+$/), z.string().regex(HEADER_VALUE))
export const HttpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })

/** The claims that the headers contain. */
export function claimsOfHeaders(headers: Headers = {}): string[] {
  return Object.values(headers).flatMap((value) => [...value.matchAll(CLAIM)].map(([, claim]) => claim as string))
}

/** The value without its claims, to see what else it has. */
export function withoutClaims(value: string): string {
  return value.replace(CLAIM, '')
}

/** The headers with the values of claims. @returns the name of a claim that is missing or does not fit into a header */
export function headersWith(
  headers: Headers,
  claims: Readonly<Record<string, string>>,
): { readonly headers: Record<string, string> } | { readonly missing: string } {
  let missing: string | undefined
  const filled = Object.entries(headers).map(([name, value]) => [
    name,
    value.replace(CLAIM, (_, claim: string) => {
      const given = Object.hasOwn(claims, claim) ? claims[claim] : undefined
      if (given === undefined || given === '' || !HEADER_VALUE.test(given)) missing ??= claim
      return given ?? ''
    }),
  ])
  return missing === undefined ? { headers: Object.fromEntries(filled) } : { missing }
}
