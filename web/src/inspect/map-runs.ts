// MapRuns: the runs of a session as bars over its entries, those that overlap in rows below each other. Pure.
import type { RunLane } from './run-lane.ts'

export interface MappedRun {
  readonly run: string
  /** Parts of the map, from 0 to 1. */
  readonly from: number
  readonly to: number
  readonly row: number
  /** How it ended; `open`: it has not. */
  readonly reason: string
}

/** Runs that are drawn, the newest ones. */
const RUNS_MAX = 300

/** @param first the index of the first entry @param count one more than that of the last @param rows those that do not fit share the last */
export function mapRuns(lanes: Iterable<RunLane>, first: number, count: number, rows: number): readonly MappedRun[] {
  const length = Math.max(1, count - 1 - first)
  const place = (index: number): number => Math.min(1, Math.max(0, (index - first) / length))
  const ends: number[] = new Array(rows).fill(-1)
  return [...lanes].slice(-RUNS_MAX).map(({ run, from, to, end }) => {
    const free = ends.findIndex((last) => last < from)
    const row = free < 0 ? rows - 1 : free
    const last = end === undefined ? count - 1 : to
    ends[row] = Math.max(ends[row] ?? -1, last)
    return { run, from: place(from), to: place(last), row, reason: end?.reason ?? 'open' }
  })
}
