// Exact quantiles of values in memory: no sketch, no buckets.

/** @param sorted ascending. @returns undefined for an empty list */
export function quantile(sorted: readonly number[], q: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))]
}

/** The quantile function at the given points, for a plot. */
export function quantileCurve(sorted: readonly number[], points: readonly number[]): (number | null)[] {
  return points.map((point) => quantile(sorted, point) ?? null)
}

export function sorted(values: Iterable<number>): number[] {
  return [...values].sort((a, b) => a - b)
}

export function meanOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length
}
