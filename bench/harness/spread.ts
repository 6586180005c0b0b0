// How the figures of several rounds are told.

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** The median, the least and the most. */
export function spread(numbers: readonly number[], digits: number): string {
  const low = Math.min(...numbers).toFixed(digits)
  const high = Math.max(...numbers).toFixed(digits)
  return `${median(numbers).toFixed(digits)} (${low}–${high})`
}
