// The secrets that sign what clients keep and return, such as the ids of MCP sessions. All nodes must have the same ones.
import { randomBytes } from 'node:crypto'
import type { AuthConfig } from './authenticator.ts'
import { type Secrets, secretsIn } from './secret-file.ts'

/**
 * Everybody may do everything on a server without access tokens, so a signature protects nothing there, and a fixed secret lets
 * sessions outlive a restart.
 */
const OPEN = 'a server without access tokens'

/** @param own used instead of the secret that verifies access tokens */
export function signingSecrets({ jwtSecret, jwtSecretFile, jwksUrl }: AuthConfig, own: string | undefined): Secrets {
  const text = own ?? jwtSecret
  if (text === undefined && jwtSecretFile !== undefined) return secretsIn(jwtSecretFile)
  // The keys of a JWKS are public.
  const secret = text ?? (jwksUrl === undefined ? OPEN : randomBytes(32))
  const secrets = [typeof secret === 'string' ? new TextEncoder().encode(secret) : secret]
  return async () => secrets
}
