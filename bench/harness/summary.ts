// How benchmarks print their results: the machine, and the figures of several rounds.
import { cpus } from 'node:os'

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** The median, with minimum and maximum. */
export function summarize(numbers: readonly number[], digits: number): string {
  const low = Math.min(...numbers).toFixed(digits)
  const high = Math.max(...numbers).toFixed(digits)
  return `${median(numbers).toFixed(digits)} (${low}–${high})`
}

export function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}`
}
