// Random numbers from a seed: the same seed gives the same load, whichever process makes it.

/** From 0 up to, not including, 1. */
export type Random = () => number

/** A stream of numbers of its own for each path of names and numbers under a seed. */
export function randomOf(seed: number, ...path: readonly (string | number)[]): Random {
  let state = hash(`${seed}/${path.join('/')}`)
  // Mulberry32: a Weyl sequence and two rounds of mixing.
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0
  return value
}
