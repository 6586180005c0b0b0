// Close codes: the server ends the connection, and the range of the code says whether the client may reconnect.
// 4400–4499: do not reconnect without a change. 4500–4599: reconnect with your cursors.

interface CloseRule {
  readonly code: number
  readonly reason: string
}

/** The access token is missing, invalid or expired. */
export const NOT_AUTHENTICATED = 4401

export const CLOSE = {
  badFrame: { code: 4400, reason: 'bad frame' },
  notAuthenticated: { code: NOT_AUTHENTICATED, reason: 'not authenticated' },
  forbidden: { code: 4403, reason: 'forbidden' },
  noHello: { code: 4408, reason: 'no hello in time' },
  frameTooLarge: { code: 4413, reason: 'frame too large' },
  tooManyCommands: { code: 4429, reason: 'too many commands' },
  internal: { code: 4500, reason: 'internal error' },
  goingAway: { code: 4503, reason: 'going away' },
  tooSlow: { code: 4508, reason: 'too slow for too long' },
} as const satisfies Record<string, CloseRule>
export type CloseName = keyof typeof CLOSE

/** Bytes of a close reason in UTF-8 (RFC 6455, section 5.5: 125 bytes, two of which hold the code). */
export const CLOSE_REASON_MAX_BYTES = 123

/** Whether a client may reconnect automatically after a close with this code: all but 4400–4499 allow it. */
export function mayReconnect(code: number): boolean {
  return code < 4400 || code > 4499
}

/** A failure that ends the connection. */
export class Disconnect extends Error {
  override readonly name = 'Disconnect'
  readonly code: number
  readonly reason: string

  /** @param detail appended to the reason; the result is cut between characters to fit 123 bytes of UTF-8 */
  constructor(close: CloseName, detail?: string) {
    const rule = CLOSE[close]
    const reason = cutToBytes(detail === undefined ? rule.reason : `${rule.reason}: ${detail}`, CLOSE_REASON_MAX_BYTES)
    super(reason)
    this.code = rule.code
    this.reason = reason
  }
}

/** The longest prefix of whole characters that fits `maxBytes` bytes of UTF-8. */
export function cutToBytes(text: string, maxBytes: number): string {
  const encoder = new TextEncoder()
  if (encoder.encode(text).length <= maxBytes) return text
  let bytes = 0
  let end = 0
  for (const character of text) {
    bytes += encoder.encode(character).length
    if (bytes > maxBytes) break
    end += character.length
  }
  return text.slice(0, end)
}
