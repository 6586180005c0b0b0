// The id of a command sent over plain HTTP. A valid id in the Idempotency-Key header is used as it is, any other key is
// hashed. So the same key is the same command on every transport and node.
import { createHash } from 'node:crypto'
import { Id, IdempotencyKey, makeId } from '@parley/protocol'
import { HttpError } from './http-error.ts'
import type { HttpRequest } from './http-request.ts'

const HEADER = 'idempotency-key'

/** @throws HttpError bad_request */
export function commandIdOf(request: HttpRequest): string {
  const key = idempotencyKeyOf(request)
  if (key === undefined) return makeId('cmd')
  return Id.safeParse(key).success ? key : `key_${digest(key)}`
}

/**
 * A command with a Last-Event-ID was sent before, by a client that repeats a POST when its stream breaks off. Without a key,
 * the repeat would be a new command each time, so it is refused. An empty Last-Event-ID means that there is none: some
 * clients send it with the first request.
 * @returns undefined without the header
 * @throws HttpError bad_request
 */
export function idempotencyKeyOf(request: HttpRequest): string | undefined {
  const given = request.header(HEADER)
  if (given === undefined) {
    if ((request.header('last-event-id') ?? '') === '') return undefined
    const words =
      'A request that is repeated with Last-Event-ID needs the Idempotency-Key of the first request. Without it, it would start another run.'
    throw new HttpError('bad_request', words, { path: HEADER })
  }
  const parsed = IdempotencyKey.safeParse(given)
  if (!parsed.success) throw new HttpError('bad_request', parsed.error.issues[0]?.message, { path: HEADER })
  return parsed.data
}

/** A hash of texts: 52 characters of the id alphabet. */
export function digest(...texts: readonly string[]): string {
  const hash = createHash('sha256')
  // A key contains no control characters, so two different lists never hash the same bytes.
  for (const text of texts) hash.update(text).update('\0')
  return base32(hash.digest())
}

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET[(value >>> bits) & 31]
    }
    value &= (1 << bits) - 1
  }
  return bits > 0 ? text + ALPHABET[(value << (5 - bits)) & 31] : text
}
