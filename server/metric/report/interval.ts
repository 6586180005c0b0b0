// Intervals: how sure one may be of a difference between two groups. Pure, and the same each time: nothing is drawn by chance.

export interface Interval {
  readonly estimate: number
  readonly low: number
  readonly high: number
}

/** Counts of a histogram, not cumulated; the last bound is Infinity. */
export interface Bins {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
}

/** Wilson's score interval of a proportion. @param z quantile of the normal distribution */
export function proportion(hits: number, total: number, z: number): Interval {
  const p = hits / total
  const shrink = 1 + z ** 2 / total
  const middle = (p + z ** 2 / (2 * total)) / shrink
  const half = (z / shrink) * Math.sqrt((p * (1 - p)) / total + z ** 2 / (4 * total ** 2))
  return { estimate: p, low: Math.max(0, middle - half), high: Math.min(1, middle + half) }
}

/** The score interval of a rate, of events that happen independently. @returns for each of `total` */
export function rate(events: number, total: number, z: number): Interval {
  const middle = events + z ** 2 / 2
  const half = z * Math.sqrt(events + z ** 2 / 4)
  return { estimate: events / total, low: Math.max(0, middle - half) / total, high: (middle + half) / total }
}

/**
 * Woodruff's interval of a quantile: the normal interval of its rank, read from the distribution. Within a bin values are
 * taken to lie evenly; what lies in the last bin is Infinity, as its bins do not say more.
 */
export function quantile(bins: Bins, q: number, z: number): Interval {
  const total = sum(bins.counts)
  const half = z * Math.sqrt((q * (1 - q)) / total)
  const at = (rank: number) => valueAt(bins, Math.min(1, Math.max(0, rank)) * total)
  return { estimate: at(q), low: at(q - half), high: at(q + half) }
}

/** Of two independent groups, from their own intervals: Newcombe's method, which keeps their lopsidedness. @returns b − a */
export function difference(a: Interval, b: Interval): Interval {
  const estimate = b.estimate - a.estimate
  return {
    estimate,
    low: estimate - Math.hypot(b.estimate - b.low, a.high - a.estimate),
    high: estimate + Math.hypot(b.high - b.estimate, a.estimate - a.low),
  }
}

/** Quantile of the normal distribution that holds `level` between its two sides, by halving. @param level below 1 */
export function zOf(level: number): number {
  let [low, high] = [0, 10]
  for (let step = 0; step < 60; step += 1) {
    const z = (low + high) / 2
    if (within(z) < level) low = z
    else high = z
  }
  return low
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function valueAt({ bounds, counts }: Bins, rank: number): number {
  let before = 0
  for (const [index, count] of counts.entries()) {
    const high = bounds[index] ?? Number.POSITIVE_INFINITY
    if (count > 0 && before + count >= rank) {
      const low = bounds[index - 1] ?? 0
      return high === Number.POSITIVE_INFINITY ? high : low + ((high - low) * (rank - before)) / count
    }
    before += count
  }
  return Number.POSITIVE_INFINITY
}

/** What the normal distribution holds between −z and z, by Simpson's rule. */
function within(z: number): number {
  const steps = 400
  const width = z / steps
  let area = 0
  for (let step = 0; step <= steps; step += 1) {
    const weight = step === 0 || step === steps ? 1 : step % 2 === 0 ? 2 : 4
    area += weight * Math.exp(-((step * width) ** 2) / 2)
  }
  return (2 * area * width) / 3 / Math.sqrt(2 * Math.PI)
}
