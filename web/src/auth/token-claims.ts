// What a page reads in a token that it was given: whose it is, so that what is kept here is kept apart, and until when it
// holds, so that the person is warned. Nothing is decided by it: that is the server's, which checks it. Pure.

export interface TokenClaims {
  /** The token's subject. */
  readonly subject?: string
  /** Unix milliseconds. */
  readonly until?: number
}

/** @returns nothing of a token that is no JWT */
export function claimsOf(token: string): TokenClaims {
  const claims = payloadOf(token)
  if (typeof claims !== 'object' || claims === null) return {}
  const { sub, exp } = claims as { sub?: unknown; exp?: unknown }
  return {
    ...(typeof sub === 'string' && sub !== '' ? { subject: sub } : {}),
    ...(typeof exp === 'number' && Number.isFinite(exp) ? { until: exp * 1_000 } : {}),
  }
}

function payloadOf(token: string): unknown {
  const part = token.split('.')[1] ?? ''
  try {
    const bytes = atob(part.replaceAll('-', '+').replaceAll('_', '/'))
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0))))
  } catch {
    // No base64, or no JSON: a token of another kind.
    return undefined
  }
}
