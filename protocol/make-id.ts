// makeId: ids that sort by the time they were made. Free of zod, so that browsers can have it alone.

// Crockford's base32 in lower case: its characters are in ASCII order, so ids sort as their times do.
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const RANDOM_LENGTH = 12
let lastTime = 0
let counter = 0

/**
 * A new id: a prefix, the time in milliseconds (10 characters), a counter within that millisecond
 * (3 characters, so ids of one process sort in the order they were made), 60 random bits.
 * @param prefix what the id names, such as `run`; becomes `run_…`
 * @param now Unix milliseconds
 */
export function makeId(prefix: string, now: number = Date.now()): string {
  if (now > lastTime) {
    lastTime = now
    counter = 0
  } else {
    // The clock stood still or went back: stay on the last time, so that order is kept.
    counter += 1
    if (counter >= 32 ** 3) {
      lastTime += 1
      counter = 0
    }
  }
  // Ids are held for long, and in great numbers: put together from parts, one would keep them all.
  return String.fromCharCode(
    ...codesOf(`${prefix}_`),
    ...codesOf(base32(lastTime, 10)),
    ...codesOf(base32(counter, 3)),
    ...codesOf(randomText(RANDOM_LENGTH)),
  )
}

/** Unix milliseconds at which an id was made by `makeId`; undefined for an id that was not. */
export function timeOfId(id: string): number | undefined {
  const digits = /^[a-z]+_([0-9a-hjkmnp-tv-z]{10})[0-9a-hjkmnp-tv-z]{15}$/.exec(id)?.[1]
  if (digits === undefined) return undefined
  let time = 0
  for (const digit of digits) time = time * 32 + ALPHABET.indexOf(digit)
  return time
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
