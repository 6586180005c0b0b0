// LegacySession: a session of MCP 2025-11-25 and before. Its id is a signed token that says everything about it, so every node
// serves it, also after a restart, and nothing is stored. It ends when it expires.
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { digest } from '../http/command-id.ts'
import { LEGACY_VERSIONS } from './eras.ts'
import type { RpcId } from './rpc.ts'
import { Signer, type SigningSecrets } from './signer.ts'

const LegacySession = z.object({
  user: z.string(),
  version: z.enum(LEGACY_VERSIONS),
  /** Whether the client can ask its user to fill in a form. */
  elicits: z.boolean(),
  /** Tells the sessions of one user apart. */
  nonce: z.string(),
  /** Unix milliseconds. */
  until: z.number(),
})
export type LegacySession = z.infer<typeof LegacySession>

/** Milliseconds after which a client must initialize again. */
const SESSION_MS = 30 * 24 * 60 * 60 * 1000

export class LegacySessions {
  readonly #signer: Signer

  constructor(secrets: SigningSecrets) {
    this.#signer = new Signer(secrets, 'MCP session')
  }

  /** @returns the id: visible ASCII */
  open(session: Pick<LegacySession, 'user' | 'version' | 'elicits'>): Promise<string> {
    return this.#signer.sign({
      ...session,
      nonce: randomBytes(9).toString('base64url'),
      until: Date.now() + SESSION_MS,
    })
  }

  /** @returns undefined if it is unknown, expired, or of another user */
  async find(id: string, user: string): Promise<LegacySession | undefined> {
    const { data } = LegacySession.safeParse(await this.#signer.open(id))
    return data !== undefined && data.user === user && data.until > Date.now() ? data : undefined
  }
}

/**
 * Names what a request of the session creates. So a request that is repeated has one effect, and any node finds what the
 * client wants to cancel.
 * @param kind `kept`: a call that no cancel ends
 */
export function nameOf({ nonce }: LegacySession, id: RpcId, kind: 'call' | 'kept' | 'cancel'): string {
  return `mcp_${digest(nonce, JSON.stringify(id), kind)}`
}
