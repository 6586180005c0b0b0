// KeySet: the public keys at a URL. If they cannot be fetched, that is not the client's fault: the known keys stay valid for
// a while, and then no token can be verified until a fetch succeeds. jose's own remote key set is not used, because it
// rejects with JOSEError both for invalid tokens and for most failures of the URL (docs/adr/0008).
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose'
import type { Logger } from 'pino'

export interface KeySetOptions {
  readonly url: string
  /** Milliseconds between two fetches for tokens that name unknown keys; default 30,000. */
  readonly cooldownMs?: number | undefined
  /** Milliseconds for which known keys stay valid while they cannot be fetched; default one hour. */
  readonly keepMs?: number | undefined
  /** Milliseconds within which the whole answer must have arrived; default 5,000. */
  readonly fetchMs?: number | undefined
  readonly logger?: Logger | undefined
  readonly onFetched?: ((result: 'ok' | 'failed') => void) | undefined
  /** Milliseconds of a monotonic clock. */
  readonly now?: (() => number) | undefined
}

/** The token could not be verified, because the keys are unknown or unusable. */
export class KeySetError extends Error {
  override readonly name = 'KeySetError'
}

/** A revoked key is refused at most this many milliseconds later, unless the keys cannot be fetched. */
const FRESH_MS = 300_000
const COOLDOWN_MS = 30_000
/** The cooldown after a failed fetch. */
const RETRY_MS = 5_000
export const KEEP_S = 3_600
const FETCH_MS = 5_000
const MAX_CHARACTERS = 1024 * 1024
/** Milliseconds between two log lines of one outage. */
const LOG_MS = 60_000

export class KeySet {
  readonly #options: KeySetOptions
  readonly #now: () => number
  #keys: JWTVerifyGetKey | undefined
  #loadedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #loggedAt = Number.NEGATIVE_INFINITY
  /** Why the latest fetch failed. */
  #failure: Error | undefined
  #loading: Promise<void> | undefined

  constructor(options: KeySetOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** The key for a token. @throws KeySetError, or an error of jose if the token is invalid */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    try {
      return await (await this.#current())(header, token)
    } catch (error) {
      // The key that the token names is malformed.
      if (error instanceof errors.JWKSInvalid) throw new KeySetError('the key set is invalid', { cause: error })
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
    }
    await this.#load()
    // A key that was published since then may match.
    if (this.#failure !== undefined) throw this.#unavailable()
    return (await this.#current())(header, token)
  }

  async #current(): Promise<JWTVerifyGetKey> {
    if (this.#now() - this.#loadedAt >= FRESH_MS) {
      const loading = this.#load()
      // During an outage, tokens do not wait for each attempt.
      if (this.#usable === undefined || this.#failure === undefined) await loading
    }
    const keys = this.#usable
    if (keys === undefined) throw this.#unavailable()
    return keys
  }

  get #usable(): JWTVerifyGetKey | undefined {
    const { keepMs = KEEP_S * 1000 } = this.#options
    return this.#now() - this.#loadedAt < keepMs ? this.#keys : undefined
  }

  #unavailable(): KeySetError {
    return new KeySetError('the key set cannot be fetched', { cause: this.#failure })
  }

  /** Never rejects. One fetch at a time, and none within the cooldown. */
  async #load(): Promise<void> {
    const { cooldownMs = COOLDOWN_MS } = this.#options
    const waitMs = this.#failure === undefined ? cooldownMs : Math.min(cooldownMs, RETRY_MS)
    if (this.#loading === undefined && this.#now() - this.#triedAt < waitMs) return
    this.#loading ??= this.#fetch().finally(() => {
      this.#triedAt = this.#now()
      this.#loading = undefined
    })
    await this.#loading
  }

  async #fetch(): Promise<void> {
    const { url, fetchMs = FETCH_MS, logger, onFetched } = this.#options
    const { origin, pathname } = new URL(url)
    try {
      this.#keys = createLocalJWKSet(await fetchJson(url, fetchMs))
      this.#loadedAt = this.#now()
      onFetched?.('ok')
      if (this.#failure !== undefined) logger?.info({ url: origin + pathname }, 'fetching the key set works again')
      this.#failure = undefined
      this.#loggedAt = Number.NEGATIVE_INFINITY
    } catch (error) {
      this.#failure = error as Error
      onFetched?.('failed')
      if (this.#now() - this.#loggedAt < LOG_MS) return
      this.#loggedAt = this.#now()
      const knownKeys = this.#usable !== undefined
      logger?.error({ err: error, url: origin + pathname, knownKeys }, 'failed to fetch the key set')
    }
  }
}

async function fetchJson(url: string, fetchMs: number) {
  const headers = { Accept: 'application/json, application/jwk-set+json' }
  const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(fetchMs) })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`the answer has status ${response.status} instead of 200`)
  }
  let text = ''
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part
    if (text.length > MAX_CHARACTERS) throw new Error(`the answer exceeds ${MAX_CHARACTERS} characters`)
  }
  const set = JSON.parse(text)
  // No provider means to refuse every token.
  if (Array.isArray(set?.keys) && !set.keys.some(isForSignatures))
    throw new Error('the answer contains no public keys for signatures')
  return set
}

/** RFC 7517, sections 4.1 to 4.3. */
function isForSignatures(key: { kty?: unknown; use?: unknown; key_ops?: unknown } | null): boolean {
  const { kty, use = 'sig', key_ops: operations } = key ?? {}
  const verifies = !Array.isArray(operations) || operations.includes('verify')
  return ['RSA', 'EC', 'OKP', 'AKP'].includes(String(kty)) && use === 'sig' && verifies
}
