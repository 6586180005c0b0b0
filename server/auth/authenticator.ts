// Authenticator: verifies access tokens and returns their user. Without a configured key, every client is anonymous;
// create-server.ts then listens on loopback only, unless configured otherwise. Keys may change while the server runs.
import { Budget, cutText, ReplyError, Role, type UserLimits, wellFormed } from '@parley/protocol'
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import { z } from 'zod'
import { type Secrets, secretsIn } from './secret-file.ts'

export interface Identity {
  readonly user: string
  readonly name?: string
  /** The most that the access token allows in any session. */
  readonly role: Role
  /** Expiry in Unix milliseconds, including the tolerance for clock differences. Undefined: never. */
  readonly until?: number
  /** The user's own limits, if the access token contains them. */
  readonly limits?: UserLimits
}

export interface Authenticator {
  /** Whether an access token is required. */
  readonly required: boolean
  /** @throws ReplyError `unauthenticated`, or `unavailable` if the keys cannot be read */
  authenticate(token: string | undefined): Promise<Identity>
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

/** The value of that claim. */
const LimitsClaim = z.strictObject({
  runs: z.int().min(0).max(1_000_000).optional(),
  budget: Budget.optional(),
})

/** The user of every client if no access token is required. */
export const ANYBODY = 'anonymous'
const ANONYMOUS: Identity = { user: ANYBODY, role: 'owner' }
export const USER_MAX_LENGTH = 256
/** Not `role`, which identity providers use for roles of their own. */
export const ROLE_CLAIM = 'parley_role'
const CLOCK_SKEW_S = 5
/** A revoked key is refused at most this many milliseconds later. */
const JWKS_AGE_MS = 300_000
/** Never HS*: the published key would then be the secret (RFC 8725, section 3.1). */
const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

type Verify = (token: string) => Promise<JWTPayload>

export function createAuthenticator(config: AuthConfig): Authenticator {
  const verify = createVerifier(config)
  if (verify === undefined) return { required: false, authenticate: async () => ANONYMOUS }
  return {
    required: true,
    async authenticate(token) {
      if (token === undefined || token === '') throw new ReplyError('unauthenticated')
      return toIdentity(await verified(verify(token)), config)
    },
  }
}

function createVerifier(config: AuthConfig): Verify | undefined {
  const options: JWTVerifyOptions = {
    clockTolerance: config.clockSkew ?? CLOCK_SKEW_S,
    ...(config.issuer === undefined ? {} : { issuer: config.issuer }),
    ...(config.audience === undefined ? {} : { audience: config.audience }),
  }
  const { jwtSecret, jwtSecretFile, jwksUrl } = config
  if (jwtSecretFile !== undefined) return bySecrets(secretsIn(jwtSecretFile), options)
  if (jwtSecret !== undefined) {
    const keys = [new TextEncoder().encode(jwtSecret)]
    return bySecrets(async () => keys, options)
  }
  if (jwksUrl !== undefined) {
    const keys = createRemoteJWKSet(new URL(jwksUrl), {
      timeoutDuration: 5_000,
      cacheMaxAge: JWKS_AGE_MS,
      ...(config.jwksCooldownMs === undefined ? {} : { cooldownDuration: config.jwksCooldownMs }),
    })
    return async (token) => (await jwtVerify(token, keys, { ...options, algorithms: ASYMMETRIC })).payload
  }
  return undefined
}

function bySecrets(secrets: Secrets, options: JWTVerifyOptions): Verify {
  return async (token) => {
    let refusal: unknown
    for (const key of await secrets()) {
      try {
        return (await jwtVerify(token, key, { ...options, algorithms: ['HS256'] })).payload
      } catch (error) {
        // Another secret may match.
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
        refusal = error
      }
    }
    throw refusal
  }
}

async function verified(verifying: Promise<JWTPayload>): Promise<JWTPayload> {
  try {
    return await verifying
  } catch (cause) {
    // jose reports an invalid token with its own error classes. Any other error comes from the network or the disk.
    const ofToken = cause instanceof errors.JOSEError && !(cause instanceof errors.JWKSTimeout)
    throw new ReplyError(ofToken ? 'unauthenticated' : 'unavailable', undefined, { cause })
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
    ...(payload.exp === undefined ? {} : { until: (payload.exp + clockSkew) * 1000 }),
  }
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
