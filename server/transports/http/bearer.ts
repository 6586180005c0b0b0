// The token of a request, where it comes in the Authorization header (RFC 6750, section 2.1).

const BEARER = /^Bearer +([^\s]+) *$/i

/** @param authorization the header's value; '' or undefined where there is none */
export function bearerOf(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : BEARER.exec(authorization)?.[1]
}
