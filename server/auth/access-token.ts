// Makes access tokens for the command `parley-server token`: signed with the secret that the server verifies them with,
// and with the claims that the authenticator reads.
import { Role } from '@parley/protocol'
import { SignJWT } from 'jose'
import { type AuthConfig, isUserId, ROLE_CLAIM, USER_MAX_LENGTH } from './authenticator.ts'
import { readSecrets } from './secret-file.ts'

export interface AccessTokenOptions {
  readonly user: string
  readonly name?: string | undefined
  /** The most that the token allows in any session. */
  readonly role?: string | undefined
  /** A duration such as `12h`. */
  readonly ttl: string
  /** Default: that of the configuration. */
  readonly audience?: string | undefined
}

/** No access token can be made. The message is one sentence for the person who asked for it. */
export class AccessTokenError extends Error {
  override readonly name = 'AccessTokenError'
}

const UNIT_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }
/** A token cannot be revoked before it expires, other than with its secret. */
const TTL_MAX_S = 365 * 86_400

/** @throws AccessTokenError */
export async function createAccessToken(config: AuthConfig, options: AccessTokenOptions): Promise<string> {
  const { user, name, role, ttl } = options
  if (!isUserId(user)) throw new AccessTokenError(`--user must be 1 to ${USER_MAX_LENGTH} characters.`)
  if (role !== undefined && !Role.safeParse(role).success) {
    throw new AccessTokenError(`--role ${role} must be one of ${Role.options.join(', ')}.`)
  }
  const expiresIn = secondsIn(ttl)
  const secret = await signingSecret(config)
  const { userClaim = 'sub', nameClaim = 'name', roleClaim = ROLE_CLAIM, issuer } = config
  const audience = options.audience ?? config.audience
  const issuedAt = Math.floor(Date.now() / 1000)
  return new SignJWT({
    ...(name === undefined ? {} : { [nameClaim]: name }),
    ...(role === undefined ? {} : { [roleClaim]: role }),
    [userClaim]: user,
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(audience === undefined ? {} : { aud: audience }),
    iat: issuedAt,
    exp: issuedAt + expiresIn,
  })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(secret)
}

async function signingSecret({ jwtSecret, jwtSecretFile, jwksUrl }: AuthConfig): Promise<Uint8Array> {
  if (jwtSecret !== undefined) return new TextEncoder().encode(jwtSecret)
  if (jwtSecretFile !== undefined) {
    try {
      // Any secret in the file verifies; the first one signs.
      return (await readSecrets(jwtSecretFile))[0] as Uint8Array
    } catch (error) {
      throw new AccessTokenError(`PARLEY_JWT_SECRET_FILE ${jwtSecretFile} cannot be used: ${(error as Error).message}.`)
    }
  }
  throw new AccessTokenError(
    jwksUrl === undefined
      ? 'No secret is configured. Set PARLEY_JWT_SECRET or PARLEY_JWT_SECRET_FILE as for the server.'
      : 'PARLEY_JWKS_URL holds public keys, which cannot sign. Get an access token from the identity provider that publishes them.',
  )
}

function secondsIn(ttl: string): number {
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(ttl) ?? []
  const seconds = Number(count) * (UNIT_S[unit] ?? 0)
  if (seconds >= 1 && seconds <= TTL_MAX_S) return seconds
  throw new AccessTokenError(`--ttl ${ttl} must be a duration from 1s to 365d, such as 3600s, 12h or 30d.`)
}
