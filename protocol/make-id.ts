// makeId: creates ids that sort by creation time. It does not import zod, so that browsers can load it alone.

// Crockford's base32 in lower case: its characters are in ASCII order, so ids sort like their times.
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const RANDOM_LENGTH = 12
/** Random bytes for the next ids: one call of the system's generator costs more than the rest of an id. */
const RANDOM_POOL = RANDOM_LENGTH * 64
const random = new Uint8Array(RANDOM_POOL)
let usedRandom = RANDOM_POOL
const UNDERSCORE = 95
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
  const codes: number[] = []
  for (let at = 0; at < prefix.length; at += 1) codes.push(prefix.charCodeAt(at))
  codes.push(UNDERSCORE)
  addBase32(codes, lastTime, 10)
  addBase32(codes, counter, 3)
  addRandom(codes)
  return String.fromCharCode(...codes)
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

function addBase32(codes: number[], value: number, length: number): void {
  const end = codes.length + length
  let rest = value
  for (let at = end - 1; at >= end - length; at -= 1) {
    codes[at] = ALPHABET.charCodeAt(rest % 32)
    rest = Math.floor(rest / 32)
  }
}

function addRandom(codes: number[]): void {
  if (usedRandom === RANDOM_POOL) {
    globalThis.crypto.getRandomValues(random)
    usedRandom = 0
  }
  const end = usedRandom + RANDOM_LENGTH
  for (; usedRandom < end; usedRandom += 1) codes.push(ALPHABET.charCodeAt((random[usedRandom] as number) & 31))
}
