// Seeded random numbers, and the distributions that --think, --answer and the like draw from. The same seed gives the
// same load in every process. A drawn number is finite and not negative.

/** Returns a number from 0 up to, but not including, 1. */
export type Random = () => number

/** Each seed and path has its own sequence of numbers. */
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

export type Distribution =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'uniform'; readonly low: number; readonly high: number }
  | { readonly kind: 'exponential'; readonly mean: number }
  /** `sigma` applies to the logarithm: with 0.5, two thirds of the values are 0.6 to 1.65 times the median. */
  | { readonly kind: 'lognormal'; readonly median: number; readonly sigma: number }

/** Upper limit relative to the typical value: one value in a million must not dominate a run. */
const FURTHEST = 20

/** @throws RangeError with the accepted forms */
export function parseDistribution(text: string): Distribution {
  const [, name = '', list = ''] = /^(?:([a-z]+):)?([0-9.,]+)$/.exec(text) ?? []
  const numbers = list.split(',').map(Number)
  const [first = Number.NaN, second = Number.NaN] = numbers
  const fits = (count: number) => numbers.length === count && numbers.every((value) => Number.isFinite(value))
  if (list !== '') {
    if (name === '' && fits(1)) return { kind: 'constant', value: first }
    if (name === 'uniform' && fits(2) && first <= second) return { kind: 'uniform', low: first, high: second }
    if (name === 'exp' && fits(1)) return { kind: 'exponential', mean: first }
    if (name === 'lognormal' && fits(2)) return { kind: 'lognormal', median: first, sigma: second }
  }
  throw new RangeError(`${text} is not a distribution: write 5, uniform:1,9, exp:4 or lognormal:60,0.5`)
}

export function draw(distribution: Distribution, random: Random): number {
  switch (distribution.kind) {
    case 'constant':
      return distribution.value
    case 'uniform':
      return distribution.low + (distribution.high - distribution.low) * random()
    case 'exponential':
      return Math.min(-Math.log(1 - random()), FURTHEST) * distribution.mean
    case 'lognormal':
      return distribution.median * Math.min(Math.exp(distribution.sigma * normal(random)), FURTHEST)
  }
}

/** The mean of the distribution, ignoring its upper limit. */
export function meanOf(distribution: Distribution): number {
  switch (distribution.kind) {
    case 'constant':
      return distribution.value
    case 'uniform':
      return (distribution.low + distribution.high) / 2
    case 'exponential':
      return distribution.mean
    case 'lognormal':
      return distribution.median * Math.exp(distribution.sigma ** 2 / 2)
  }
}

/** Standard normal distribution, by the Box–Muller transform. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
