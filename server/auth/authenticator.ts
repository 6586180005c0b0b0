// Authenticator: who a token speaks for, and until when. With no key configured everybody is anonymous, which is why the
// server then binds to loopback only, unless it is told otherwise (see create-server.ts). Keys may change while it runs.
import { Budget, ReplyError, type UserLimits } from '@parley/protocol'
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import { z } from 'zod'
import { type Secrets, secretsIn } from './secret-file.ts'

export interface Identity {
  readonly user: string
  readonly name?: string
  readonly role: string
  /** Unix milliseconds until which it holds, the tolerance for clocks that differ included; for ever, when left out. */
  readonly until?: number
  /** The user's own, where the token says. */
  readonly limits?: UserLimits
}

export interface Authenticator {
  /** Whether a token is needed. */
  readonly required: boolean
  /** @throws ReplyError `unauthenticated`, or `unavailable` when the keys cannot be had */
  authenticate(token: string | undefined): Promise<Identity>
}

export interface AuthConfig {
  /** HS256 with this secret. */
  readonly jwtSecret?: string | undefined
  /** HS256 with any of the secrets in this file, one a line; read again when it has changed. */
  readonly jwtSecretFile?: string | undefined
  /** Asymmetric algorithms, with keys from here; fetched again when a token names one that is not known. */
  readonly jwksUrl?: string | undefined
  /** Milliseconds between two such fetches; default 30,000. */
  readonly jwksCooldownMs?: number | undefined
  readonly issuer?: string | undefined
  readonly audience?: string | undefined
  /** Seconds by which clocks may differ; default 5. */
  readonly clockSkew?: number | undefined
  /** The claims that name the user, and how people call them; default `sub` and `name`. */
  readonly userClaim?: string | undefined
  readonly nameClaim?: string | undefined
  /** The claim that says what the user may use; left out: none does. */
  readonly limitsClaim?: string | undefined
}

/** What that claim holds. */
const LimitsClaim = z.strictObject({
  runs: z.int().min(0).max(1_000_000).optional(),
  budget: Budget.optional(),
})

/** Who everybody is where nobody needs a token. */
export const ANYBODY = 'anonymous'
const ANONYMOUS: Identity = { user: ANYBODY, role: 'owner' }
const USER_MAX_LENGTH = 256
const CLOCK_SKEW_S = 5
/** A key that was taken back is refused this many milliseconds later at most. */
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
        // Signed with another of the secrets, perhaps.
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
    // jose names what is wrong with a token by its own error classes; anything else is the network, or the disk.
    const ofToken = cause instanceof errors.JOSEError && !(cause instanceof errors.JWKSTimeout)
    throw new ReplyError(ofToken ? 'unauthenticated' : 'unavailable', undefined, { cause })
  }
}

function toIdentity(payload: JWTPayload, config: AuthConfig): Identity {
  const { userClaim = 'sub', nameClaim = 'name', clockSkew = CLOCK_SKEW_S } = config
  const user = payload[userClaim]
  const name = payload[nameClaim]
  if (typeof user !== 'string' || user === '' || user.length > USER_MAX_LENGTH) {
    throw new ReplyError('unauthenticated', `The token names no user in its "${userClaim}".`)
  }
  return {
    user,
    role: 'owner',
    ...(typeof name === 'string' && name !== '' ? { name: name.slice(0, USER_MAX_LENGTH) } : {}),
    ...limitsIn(payload, config.limitsClaim),
    ...(payload.exp === undefined ? {} : { until: (payload.exp + clockSkew) * 1000 }),
  }
}

/** A claim that is not understood is no reason to allow more: such a token is none. */
function limitsIn(payload: JWTPayload, claim: string | undefined): { readonly limits?: UserLimits } {
  const value = claim === undefined ? undefined : payload[claim]
  if (value === undefined) return {}
  const parsed = LimitsClaim.safeParse(value)
  if (!parsed.success) throw new ReplyError('unauthenticated', `The token's "${claim}" is malformed.`)
  const { runs, budget } = parsed.data
  return { limits: { ...(runs === undefined ? {} : { runs }), ...(budget === undefined ? {} : { budget }) } }
}
