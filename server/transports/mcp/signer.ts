// Signer: texts that clients keep and return, such as the id of an MCP session. They are signed, so that any node that has the
// same secret knows them as its own, and nothing is stored. HMAC-SHA-256 (RFC 2104), with keys from HKDF (RFC 5869).
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** Resolves to the secrets, at least one: the first one signs, all of them verify. */
export type SigningSecrets = () => Promise<readonly Uint8Array[]>

export class Signer {
  readonly #secrets: SigningSecrets
  readonly #purpose: string

  /** @param purpose a text of one purpose is not valid for another */
  constructor(secrets: SigningSecrets, purpose: string) {
    this.#secrets = secrets
    this.#purpose = purpose
  }

  /** @param value JSON @returns characters of `A-Z a-z 0-9 _ - .` */
  async sign(value: unknown): Promise<string> {
    const text = Buffer.from(JSON.stringify(value)).toString('base64url')
    const [secret = new Uint8Array()] = await this.#secrets()
    return `${text}.${this.#mac(secret, text).toString('base64url')}`
  }

  /** @returns the value; undefined if the text is not signed with one of the secrets */
  async open(signed: string): Promise<unknown> {
    const [text = '', mac = '', ...rest] = signed.split('.')
    const given = Buffer.from(mac, 'base64url')
    for (const secret of rest.length > 0 ? [] : await this.#secrets()) {
      const expected = this.#mac(secret, text)
      if (given.length === expected.length && timingSafeEqual(given, expected)) {
        return JSON.parse(Buffer.from(text, 'base64url').toString())
      }
    }
    return undefined
  }

  #mac(secret: Uint8Array, text: string): Buffer {
    const key = hkdfSync('sha256', secret, '', `parley ${this.#purpose}`, 32)
    return createHmac('sha256', Buffer.from(key)).update(text).digest()
  }
}
