// Intervals for the differences between two groups. The one method is Wilson's score interval: unlike the normal interval
// it holds for small counts and for shares near 0 and 1, and unlike resampling it needs no random numbers. Quantiles
// apply it to their rank, and rates to the share of many short moments in which an event happens.
export interface Interval {
  readonly estimate: number
  readonly low: number
  readonly high: number
}

/** Counts of a histogram, not cumulative. The last bound is Infinity. */
export interface Bins {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
}

/** Standard errors: a false alarm in 0.27% of the rows, so in less than 5% of all reports. */
const Z = 3
/** Moments per unit of a rate: so many that two events in one moment do not matter. */
const MOMENTS = 1_000_000

/** @returns the share of hits */
export function share(hits: number, total: number): Interval {
  const p = hits / total
  const shrink = 1 + Z ** 2 / total
  const middle = (p + Z ** 2 / (2 * total)) / shrink
  const half = (Z / shrink) * Math.sqrt((p * (1 - p)) / total + Z ** 2 / (4 * total ** 2))
  return { estimate: p, low: Math.max(0, middle - half), high: Math.min(1, middle + half) }
}

/** @returns events per unit of `total`; assumes independent events */
export function rate(events: number, total: number): Interval {
  const { estimate, low, high } = share(events, total * MOMENTS)
  return { estimate: estimate * MOMENTS, low: low * MOMENTS, high: high * MOMENTS }
}

/** Values are assumed to spread evenly within a bin. A value in the last bin is Infinity. */
export function quantile(bins: Bins, q: number): Interval {
  const total = sum(bins.counts)
  const rank = share(q * total, total)
  const at = (part: number) => valueAt(bins, part * total)
  return { estimate: at(q), low: at(rank.low), high: at(rank.high) }
}

/** Newcombe's combination of two independent intervals, which keeps their asymmetry. @returns b − a */
export function difference(a: Interval, b: Interval): Interval {
  const estimate = b.estimate - a.estimate
  return {
    estimate,
    low: estimate - Math.hypot(b.estimate - b.low, a.high - a.estimate),
    high: estimate + Math.hypot(b.high - b.estimate, a.estimate - a.low),
  }
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
