// DisplayText: text of others as the page shows it. Pure. The prefix of a growing text stays the same.

/** More combining marks on one character than any language has. */
const MARKS = /\p{M}{60}/gu

/**
 * Ends lines as HTML does, and separates long runs of combining marks by an invisible character: the time that browsers
 * take to lay out one run grows with the square of its length (Chromium: 25 s for 64,000).
 */
export function displayText(text: string): string {
  const lines = text.includes('\r') ? text.replaceAll(/\r\n?/g, '\n') : text
  return lines.replaceAll(MARKS, '$&\u200c')
}
