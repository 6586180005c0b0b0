// The claims that the page reads from its access token: the user, to store each user's values separately, and the
// expiry, to warn the user. Nothing is authorized by them: the server verifies the token. Pure.

export interface TokenClaims {
  /** The token's subject. */
  readonly user?: string
  /** Unix milliseconds. */
  readonly expiresAt?: number
}

/** @returns no claims if the token is not a JWT */
export function claimsOf(token: string): TokenClaims {
  const claims = payloadOf(token)
  if (typeof claims !== 'object' || claims === null) return {}
  const { sub, exp } = claims as { sub?: unknown; exp?: unknown }
  return {
    ...(typeof sub === 'string' && sub !== '' ? { user: sub } : {}),
    ...(typeof exp === 'number' && Number.isFinite(exp) ? { expiresAt: exp * 1_000 } : {}),
  }
}

function payloadOf(token: string): unknown {
  const part = token.split('.')[1] ?? ''
  try {
    const bytes = atob(part.replaceAll('-', '+').replaceAll('_', '/'))
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0))))
  } catch {
    // Not base64 or not JSON: another kind of token.
    return undefined
  }
}
