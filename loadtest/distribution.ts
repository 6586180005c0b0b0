// Distributions as one writes them on a command line: `5`, `uniform:1,9`, `exp:4000`, `lognormal:60,0.5`. A number that
// is drawn is finite and not negative.
import type { Random } from './random.ts'

export type Distribution =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'uniform'; readonly low: number; readonly high: number }
  | { readonly kind: 'exponential'; readonly mean: number }
  /** `sigma` is of the logarithm: with 0.5, two thirds lie between 0.6 and 1.65 times the median. */
  | { readonly kind: 'lognormal'; readonly median: number; readonly sigma: number }

/** Beyond this many times what is typical nothing is drawn: one value in a million must not decide a run. */
const FURTHEST = 20

/** @throws RangeError that says what is wrong */
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
  throw new RangeError(`${text} is no distribution: write 5, uniform:1,9, exp:4 or lognormal:60,0.5`)
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

/** Mean of what `draw` gives, but for what is cut off at the far end. */
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

/** Box and Muller's. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
