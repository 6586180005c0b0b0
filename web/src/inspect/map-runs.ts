// MapRuns: the runs of a session as bars over the range of its entries, with overlapping runs in separate rows. Pure.
import type { RunLane } from './run-lane.ts'

export interface MappedRun {
  /** The first run of the bar. */
  readonly run: string
  /** The number of runs in the bar. If there are very many, neighbours share one. */
  readonly runs: number
  /** Indexes of entries. */
  readonly from: number
  readonly to: number
  readonly row: number
  /** How they ended; `open`: one is in progress; `mixed`: for different reasons. */
  readonly reason: string
}

const BARS_MAX = 300

/**
 * @param first the index of the first drawn entry @param count the index after the last one
 * @param rows runs that do not fit share the last row
 */
export function mapRuns(lanes: Iterable<RunLane>, first: number, count: number, rows: number): readonly MappedRun[] {
  const all = [...lanes]
  // In powers of two, so that a new run rarely regroups the others and redraws them.
  const shared = 2 ** Math.max(0, Math.ceil(Math.log2(all.length / BARS_MAX)))
  const ends: number[] = new Array(rows).fill(-1)
  const bars: MappedRun[] = []
  for (let at = 0; at < all.length; at += shared) {
    const group = all.slice(at, at + shared)
    const from = Math.max(first, Math.min(...group.map((lane) => lane.from)))
    const to = Math.max(first, ...group.map((lane) => (lane.end === undefined ? count - 1 : lane.to)))
    const free = ends.findIndex((last) => last < from)
    const row = free < 0 ? rows - 1 : free
    ends[row] = Math.max(ends[row] ?? -1, to)
    bars.push({ run: group[0]?.run ?? '', runs: group.length, from, to, row, reason: reasonOf(group) })
  }
  return bars
}

function reasonOf(group: readonly RunLane[]): string {
  const reasons = new Set(group.map(({ end }) => end?.reason ?? 'open'))
  if (reasons.has('open')) return 'open'
  return reasons.size === 1 ? ([...reasons][0] ?? 'open') : 'mixed'
}
