// MapRuns: the runs of a session as bars over its entries, those that overlap in rows below each other. Pure.
import type { RunLane } from './run-lane.ts'

export interface MappedRun {
  /** The first of those that the bar stands for. */
  readonly run: string
  /** How many that is: of very many, neighbours share a bar. */
  readonly runs: number
  /** Indexes of entries. */
  readonly from: number
  readonly to: number
  readonly row: number
  /** How they ended; `open`: one has not; `several`: in more than one way. */
  readonly reason: string
}

const BARS_MAX = 300

/**
 * @param first the index of the first entry that is drawn @param count one more than that of the last
 * @param rows those that do not fit share the last
 */
export function mapRuns(lanes: Iterable<RunLane>, first: number, count: number, rows: number): readonly MappedRun[] {
  const all = [...lanes]
  // By powers of two: what was shared once is so for long, and is not drawn anew when another run comes.
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
  return reasons.size === 1 ? ([...reasons][0] ?? 'open') : 'several'
}
