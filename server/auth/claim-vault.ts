// ClaimVault: encrypts those claims of an access token that MCP servers need, so that they travel with the run to the node that drives
// it, and no store can read them (JWE, RFC 7516, with direct encryption by AES-256-GCM).
import { createHash, randomBytes } from 'node:crypto'
import { EncryptJWT, errors, type JWTPayload, jwtDecrypt } from 'jose'

export type Claims = Readonly<Record<string, string>>

/** `unreadable`: the text was encrypted with another key, or for another user. `too_large`: the access token had too much. */
export type OpenedClaims = { readonly claims: Claims } | { readonly problem: 'unreadable' | 'too_large' }

/** Characters of the encrypted claims of one message. */
const MAX_SEALED = 16_384

export class ClaimVault {
  readonly #names: readonly string[]
  readonly #key: Uint8Array

  /** @param secret shared by all nodes; undefined: only this process can decrypt */
  constructor(names: readonly string[], secret: string | undefined) {
    this.#names = names
    this.#key = secret === undefined ? randomBytes(32) : createHash('sha256').update(`claims ${secret}`).digest()
  }

  /** @returns the encrypted claims, bound to the user; undefined if the access token has none of them */
  async seal(user: string, payload: JWTPayload): Promise<string | undefined> {
    const claims = Object.fromEntries(
      this.#names.flatMap((name) => {
        const value = Object.hasOwn(payload, name) ? payload[name] : undefined
        return typeof value === 'string' || typeof value === 'number' ? [[name, String(value)]] : []
      }),
    )
    if (Object.keys(claims).length === 0) return undefined
    const sealed = await this.#encrypt(user, { claims })
    // The run then says why its calls fail.
    return sealed.length > MAX_SEALED ? this.#encrypt(user, { problem: 'too_large' }) : sealed
  }

  async open(sealed: string, user: string): Promise<OpenedClaims> {
    try {
      const { payload } = await jwtDecrypt<{ claims?: Claims }>(sealed, this.#key, { subject: user })
      return payload.claims === undefined ? { problem: 'too_large' } : { claims: payload.claims }
    } catch (error) {
      if (error instanceof errors.JOSEError) return { problem: 'unreadable' }
      throw error
    }
  }

  #encrypt(user: string, content: OpenedClaims): Promise<string> {
    const header = { alg: 'dir', enc: 'A256GCM' }
    return new EncryptJWT({ ...content }).setSubject(user).setProtectedHeader(header).encrypt(this.#key)
  }
}
