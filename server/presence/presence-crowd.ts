// The crowd: which of those who are in a session are named, and how often the others are told. Pure. However many there are,
// a frame has a bounded size, and frames come the more rarely the more there are: what a reader gets, and what all readers of
// a session get together, is bounded in bytes a second.
import type { PresenceMember } from '@parley/protocol'

/** Somebody in a session, as nodes tell each other. */
export interface Present {
  readonly member: PresenceMember
  /** Unix milliseconds when they came or showed something. */
  readonly at: number
}

/** Milliseconds between two frames about a session, at least; at most; and for each connection that is there. */
export const PACE_MIN_MS = 100
export const PACE_MAX_MS = 4_000
const PACE_EACH_MS = 3
/** Members that a frame names, and their bytes as JSON. */
export const MEMBERS_NAMED = 32
export const MEMBERS_BYTES = 8 * 1024

/** Milliseconds from one frame about a session to the next. */
export function paceMs(count: number): number {
  return Math.min(PACE_MAX_MS, Math.max(PACE_MIN_MS, count * PACE_EACH_MS))
}

/** Those to be named: who types first, then who shows something, the most recent first, as many as there is room for. */
export function named(present: Iterable<Present>): readonly Present[] {
  const chosen: Present[] = []
  let bytes = 0
  for (const one of [...present].sort(byNews)) {
    if (chosen.length === MEMBERS_NAMED) break
    bytes += Buffer.byteLength(JSON.stringify(one.member)) + 1
    if (bytes > MEMBERS_BYTES) break
    chosen.push(one)
  }
  return chosen
}

function byNews(a: Present, b: Present): number {
  return rank(b) - rank(a) || b.at - a.at || (a.member.connection < b.member.connection ? -1 : 1)
}

function rank({ member: { state } }: Present): number {
  if (state.typing === true) return 2
  for (const key in state) if (key !== 'device') return 1
  return 0
}
