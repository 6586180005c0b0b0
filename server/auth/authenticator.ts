// Authenticator: who a token speaks for. With no key configured everybody is anonymous, which is why the
// server then binds to loopback only (see create-server.ts).
import { ReplyError } from '@parley/protocol'
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'

export interface Identity {
  readonly user: string
  readonly name?: string
  readonly role: string
}

export interface Authenticator {
  /** Whether a token is needed. */
  readonly required: boolean
  /** @throws ReplyError `unauthenticated`, or `unavailable` when the keys cannot be fetched */
  authenticate(token: string | undefined): Promise<Identity>
}

export interface AuthConfig {
  /** HS256 with this secret. */
  readonly jwtSecret?: string | undefined
  /** Asymmetric algorithms, with keys from here. */
  readonly jwksUrl?: string | undefined
  readonly issuer?: string | undefined
  readonly audience?: string | undefined
}

const ANONYMOUS: Identity = { user: 'anonymous', role: 'owner' }
const USER_MAX_LENGTH = 256
/** Clocks differ; seconds. */
const CLOCK_TOLERANCE = 5
/** Never HS*: the published key would then be the secret (RFC 8725, section 3.1). */
const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']

export function createAuthenticator(config: AuthConfig): Authenticator {
  const verify = createVerifier(config)
  if (verify === undefined) return { required: false, authenticate: async () => ANONYMOUS }
  return {
    required: true,
    async authenticate(token) {
      if (token === undefined || token === '') throw new ReplyError('unauthenticated')
      return toIdentity(await verify(token))
    },
  }
}

function createVerifier(config: AuthConfig): ((token: string) => Promise<JWTPayload>) | undefined {
  const options: JWTVerifyOptions = {
    clockTolerance: CLOCK_TOLERANCE,
    ...(config.issuer === undefined ? {} : { issuer: config.issuer }),
    ...(config.audience === undefined ? {} : { audience: config.audience }),
  }
  const { jwtSecret, jwksUrl } = config
  if (jwtSecret !== undefined) {
    const key = new TextEncoder().encode(jwtSecret)
    return (token) => verified(jwtVerify(token, key, { ...options, algorithms: ['HS256'] }))
  }
  if (jwksUrl !== undefined) {
    const keys = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: 5_000 })
    return (token) => verified(jwtVerify(token, keys, { ...options, algorithms: ASYMMETRIC }))
  }
  return undefined
}

async function verified(verifying: Promise<{ readonly payload: JWTPayload }>): Promise<JWTPayload> {
  try {
    return (await verifying).payload
  } catch (cause) {
    // jose names what is wrong with a token by its own error classes; anything else is the network.
    const ofToken = cause instanceof errors.JOSEError && !(cause instanceof errors.JWKSTimeout)
    throw new ReplyError(ofToken ? 'unauthenticated' : 'unavailable', undefined, { cause })
  }
}

function toIdentity(payload: JWTPayload): Identity {
  const { sub, name } = payload
  if (typeof sub !== 'string' || sub === '' || sub.length > USER_MAX_LENGTH) {
    throw new ReplyError('unauthenticated', 'The token names no user in its "sub".')
  }
  return { user: sub, role: 'owner', ...(typeof name === 'string' ? { name: name.slice(0, USER_MAX_LENGTH) } : {}) }
}
