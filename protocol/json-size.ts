// JsonSize: counts what makes JSON slow to parse and to check, without parsing it. Text is cheap: many megabytes in a few strings take
// milliseconds. As many bytes of brackets, commas and keys take seconds, in which a server answers nobody.

/** A message has more keys and values than its reader accepts. */
export class TooManyValuesError extends Error {
  override readonly name = 'TooManyValuesError'
}

const [QUOTE, BACKSLASH, COMMA, COLON, BRACKET, BRACE] = [0x22, 0x5c, 0x2c, 0x3a, 0x5b, 0x7b]

/**
 * Whether a text has more than `most` keys and values in arrays and objects: commas, colons and opening brackets outside of strings.
 * It need not be valid JSON.
 */
export function hasMoreValues(json: string, most: number): boolean {
  if (json.length <= most) return false
  let count = 0
  let isInString = false
  for (let at = 0; at < json.length; at += 1) {
    const unit = json.charCodeAt(at)
    if (isInString) {
      if (unit === BACKSLASH) at += 1
      else if (unit === QUOTE) isInString = false
    } else if (unit === QUOTE) {
      isInString = true
    } else if (unit === COMMA || unit === COLON || unit === BRACKET || unit === BRACE) {
      count += 1
      if (count > most) return true
    }
  }
  return false
}
