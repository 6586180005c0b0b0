// makeId: creates ids that sort by creation time. It does not import zod, so that browsers can load it alone.

// Crockford's base32 in lower case: its characters are in ASCII order, so ids sort like their times.
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const RANDOM_LENGTH = 12
let lastTime = 0
let counter = 0

/**
 * Makes an id from a prefix, the time in milliseconds (10 characters), a counter within that millisecond
 * (3 characters, so that ids of one process sort in creation order) and 60 random bits.
 * @param prefix the kind of thing that the id names, such as `run` for `run_…`
 * @param now Unix milliseconds
 */
export function makeId(prefix: string, now: number = Date.now()): string {
  if (now > lastTime) {
    lastTime = now
    counter = 0
  } else {
    // The clock did not advance or was set back: reuse the last time to keep the order.
    counter += 1
    if (counter >= 32 ** 3) {
      lastTime += 1
      counter = 0
    }
  }
  // Ids are kept for long and in great numbers. A string concatenated from parts would keep every part in memory.
  return String.fromCharCode(
    ...codesOf(`${prefix}_`),
    ...codesOf(base32(lastTime, 10)),
    ...codesOf(base32(counter, 3)),
    ...codesOf(randomText(RANDOM_LENGTH)),
  )
}

/** Unix milliseconds at which `makeId` made an id; undefined for any other id. */
export function timeOfId(id: string): number | undefined {
  const digits = /^[a-z]+_([0-9a-hjkmnp-tv-z]{10})[0-9a-hjkmnp-tv-z]{15}$/.exec(id)?.[1]
  if (digits === undefined) return undefined
  let time = 0
  for (const digit of digits) time = time * 32 + ALPHABET.indexOf(digit)
  return time
}

/**
 * The id of the run that answers a steering message which the run that it was sent to did not take. It follows from
 * the message's id, so that every reader of the log computes the same id.
 */
export function lateSteerRun(message: string): string {
  return `steer_${message}`.slice(0, 128)
}

function base32(value: number, length: number): string {
  let text = ''
  let rest = value
  for (let i = 0; i < length; i += 1) {
    text = ALPHABET[rest % 32] + text
    rest = Math.floor(rest / 32)
  }
  return text
}

function randomText(length: number): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(length))
  let text = ''
  for (const byte of bytes) text += ALPHABET[byte & 31]
  return text
}

function codesOf(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0))
}
