// Authenticator: verifies access tokens and returns their user. Without a configured key, every client is anonymous;
// create-server.ts then listens on loopback only, unless configured otherwise. Keys may change while the server runs.
import type { webcrypto } from 'node:crypto'
import { ANONYMOUS_USER, Budget, cutText, ReplyError, Role, type UserLimits, wellFormed } from '@parley/protocol'
import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { ClaimVault } from './claim-vault.ts'
import { KeySet } from './key-set.ts'
import { isSecret, SECRET_RULE, type Secrets, secretsIn } from './secret-file.ts'

export interface Identity {
  readonly user: string
  readonly name?: string
  /** The most that the access token allows in any session. */
  readonly role: Role
  /** Expiry in Unix milliseconds, including the tolerance for clock differences. Undefined: never. */
  readonly until?: number
  /** The user's own limits, if the access token contains them. */
  readonly limits?: UserLimits
  /** Encrypted claims for MCP servers. */
  readonly credentials?: string
}

export interface Authenticator {
  /** Whether an access token is required. */
  readonly required: boolean
  /**
   * @param audience that the token must have; default: the configured one
   * @throws ReplyError `unauthenticated`, or `unavailable` if the keys cannot be read
   */
  authenticate(token: string | undefined, audience?: string): Promise<Identity>
}

export interface AuthConfig {
  /** Secret for HS256. */
  readonly jwtSecret?: string | undefined
  /** File with secrets for HS256, one per line, any of which is valid. Re-read when it changes. */
  readonly jwtSecretFile?: string | undefined
  /** URL of public keys for asymmetric algorithms. Fetched again when a token names an unknown key. */
  readonly jwksUrl?: string | undefined
  /** Milliseconds between two such fetches; default 30,000. */
  readonly jwksCooldownMs?: number | undefined
  /** Seconds for which known keys stay valid while they cannot be fetched; default 3,600. */
  readonly jwksKeep?: number | undefined
  readonly issuer?: string | undefined
  readonly audience?: string | undefined
  /** Tolerated clock difference in seconds; default 5. */
  readonly clockSkew?: number | undefined
  /** Claims with the user id and the display name; default `sub` and `name`. */
  readonly userClaim?: string | undefined
  readonly nameClaim?: string | undefined
  /** Claim with the most that the token allows in any session; default `parley_role`. Without it: everything. */
  readonly roleClaim?: string | undefined
  /** Claim with the user's own limits. Undefined: access tokens contain none. */
  readonly limitsClaim?: string | undefined
}

export interface AuthPorts {
  readonly logger?: Logger
  /** The secrets in `jwtSecretFile`, if a caller has opened it already. */
  readonly secrets?: Secrets | undefined
  /** The key set was fetched. */
  readonly onKeysFetched?: ((result: 'ok' | 'failed') => void) | undefined
  /** Encrypts the claims that MCP servers need. */
  readonly vault?: Pick<ClaimVault, 'seal'> | undefined
}

/** The value of that claim. */
const LimitsClaim = z.strictObject({
  runs: z.int().min(0).max(1_000_000).optional(),
  budget: Budget.optional(),
})

const ANONYMOUS: Identity = { user: ANONYMOUS_USER, role: 'owner' }
export const USER_MAX_LENGTH = 256
/** Not `role`, which identity providers use for roles of their own. */
export const ROLE_CLAIM = 'parley_role'
const CLOCK_SKEW_S = 5
/** Never HS*: the published key would then be the secret (RFC 8725, section 3.1). */
const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

type Verify = (token: string, audience: string | undefined) => Promise<JWTPayload>

/** @throws RangeError if `jwtSecret` is too short */
export function createAuthenticator(config: AuthConfig, ports: AuthPorts = {}): Authenticator {
  const verify = createVerifier(config, ports)
  if (verify === undefined) return { required: false, authenticate: async () => ANONYMOUS }
  return {
    required: true,
    async authenticate(token, audience) {
      if (token === undefined || token === '') throw new ReplyError('unauthenticated')
      const payload = await verified(verify(token, audience))
      const identity = toIdentity(payload, config)
      const credentials = await ports.vault?.seal(identity.user, payload)
      return credentials === undefined ? identity : { ...identity, credentials }
    },
  }
}

function createVerifier(config: AuthConfig, { logger, secrets, onKeysFetched }: AuthPorts): Verify | undefined {
  const options: JWTVerifyOptions = {
    clockTolerance: config.clockSkew ?? CLOCK_SKEW_S,
    ...(config.issuer === undefined ? {} : { issuer: config.issuer }),
    ...(config.audience === undefined ? {} : { audience: config.audience }),
  }
  const { jwtSecret, jwtSecretFile, jwksUrl: url, jwksCooldownMs: cooldownMs, jwksKeep } = config
  if (jwtSecretFile !== undefined) return bySecrets(secrets ?? secretsIn(jwtSecretFile, { logger }), options)
  if (jwtSecret !== undefined) {
    if (!isSecret(jwtSecret)) throw new RangeError(`jwtSecret ${SECRET_RULE}`)
    const keys = [new TextEncoder().encode(jwtSecret)]
    return bySecrets(async () => keys, options)
  }
  if (url === undefined) return undefined
  const keepMs = jwksKeep === undefined ? undefined : jwksKeep * 1000
  const keys = new KeySet({ url, cooldownMs, keepMs, logger, onFetched: onKeysFetched })
  return byKeySet(keys, { ...options, algorithms: ASYMMETRIC })
}

function byKeySet(keys: KeySet, defaults: JWTVerifyOptions): Verify {
  return async (token, audience) => {
    const options = audience === undefined ? defaults : { ...defaults, audience }
    try {
      return (await jwtVerify(token, keys.find, options)).payload
    } catch (error) {
      // A token may name no key, while the set has several, for example during a rotation.
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
      return await firstVerified(token, error, options)
    }
  }
}

function bySecrets(secrets: Secrets, options: JWTVerifyOptions): Verify {
  return async (token, audience) => {
    const own = audience === undefined ? {} : { audience }
    return firstVerified(token, await secrets(), { ...options, ...own, algorithms: ['HS256'] })
  }
}

/** @throws JWSSignatureVerificationFailed if no key matches */
async function firstVerified(
  token: string,
  keys: AsyncIterable<webcrypto.CryptoKey> | Iterable<Uint8Array>,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  for await (const key of keys) {
    try {
      return (await jwtVerify(token, key, options)).payload
    } catch (error) {
      // Another key may match.
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
    }
  }
  throw new errors.JWSSignatureVerificationFailed()
}

async function verified(verifying: Promise<JWTPayload>): Promise<JWTPayload> {
  try {
    return await verifying
  } catch (cause) {
    // jose reports an invalid token with its own error classes. Any other error comes from the network or the disk.
    if (cause instanceof errors.JOSEError) throw new ReplyError('unauthenticated', undefined, { cause })
    throw new ReplyError('unavailable', 'Access tokens cannot be verified at the moment.', { cause })
  }
}

export function isUserId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= USER_MAX_LENGTH
}

function toIdentity(payload: JWTPayload, config: AuthConfig): Identity {
  const { userClaim = 'sub', nameClaim = 'name', roleClaim = ROLE_CLAIM, clockSkew = CLOCK_SKEW_S } = config
  const user = payload[userClaim]
  const name = payload[nameClaim]
  if (!isUserId(user)) {
    throw new ReplyError('unauthenticated', `The access token has no valid user id in its claim "${userClaim}".`)
  }
  return {
    user,
    role: claimed(payload, roleClaim, Role) ?? 'owner',
    ...(typeof name === 'string' && name !== '' ? { name: cutText(wellFormed(name), USER_MAX_LENGTH) } : {}),
    ...limitsIn(payload, config.limitsClaim),
    ...(payload.exp === undefined ? {} : { until: expiryOf(payload.exp, clockSkew) }),
  }
}

/** @param exp Unix seconds, which may have a fraction (RFC 7519, section 2) */
function expiryOf(exp: number, clockSkew: number): number {
  const until = Math.floor((exp + clockSkew) * 1000)
  if (Number.isSafeInteger(until)) return until
  throw new ReplyError('unauthenticated', 'The claim "exp" of the access token is too large.')
}

function limitsIn(payload: JWTPayload, claim: string | undefined): { readonly limits?: UserLimits } {
  const limits = claim === undefined ? undefined : claimed(payload, claim, LimitsClaim)
  if (limits === undefined) return {}
  const { runs, budget } = limits
  return { limits: { ...(runs === undefined ? {} : { runs }), ...(budget === undefined ? {} : { budget }) } }
}

/** A malformed claim must not lift limits, so it makes the access token invalid. */
function claimed<T>(payload: JWTPayload, claim: string, schema: z.ZodType<T>): T | undefined {
  const parsed = schema.optional().safeParse(payload[claim])
  if (parsed.success) return parsed.data
  throw new ReplyError('unauthenticated', `The claim "${claim}" of the access token is malformed.`)
}
