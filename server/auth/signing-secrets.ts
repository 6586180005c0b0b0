// The secrets that sign what clients keep and return, such as the ids of MCP sessions. All nodes must have the same ones.
import { randomBytes } from 'node:crypto'
import type { AuthConfig } from './authenticator.ts'
import type { Secrets } from './secret-file.ts'

/**
 * Everybody may do everything on a server without access tokens, so a signature protects nothing there, and a fixed secret lets
 * sessions outlive a restart.
 */
const OPEN = 'a server without access tokens'

/**
 * @param own used instead of the secrets that verify access tokens
 * @param inFile the secrets in a file that verify access tokens
 */
export function signingSecrets(
  { jwtSecret, jwksUrl }: Pick<AuthConfig, 'jwtSecret' | 'jwksUrl'>,
  own: string | undefined,
  inFile: Secrets | undefined,
): Secrets {
  const text = own ?? jwtSecret
  if (text === undefined && inFile !== undefined) return inFile
  // The keys of a JWKS are public.
  const secret = text ?? (jwksUrl === undefined ? OPEN : randomBytes(32))
  const secrets = [typeof secret === 'string' ? new TextEncoder().encode(secret) : secret]
  return async () => secrets
}
