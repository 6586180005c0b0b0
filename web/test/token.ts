// Access tokens for tests: JWTs signed with HS256 (RFC 7515) and the test server's secret.
import { createHmac } from 'node:crypto'

export const SECRET = 'a secret that only the tests of the page know'

/** @param seconds until the token expires */
export function tokenOf(user: string, name?: string, seconds = 3_600): string {
  const now = Math.floor(Date.now() / 1_000)
  const claims = { sub: user, iat: now, exp: now + seconds, ...(name === undefined ? {} : { name }) }
  const signed = [{ alg: 'HS256', typ: 'JWT' }, claims].map(encoded).join('.')
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
