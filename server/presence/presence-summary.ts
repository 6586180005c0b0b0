// Presence summaries: which members of a session a frame names, how often frames are sent, and their ETag. Pure. A frame has a
// maximum size, and the interval grows with the number of members. So the bytes per second are limited for each reader
// and for all readers of a session together.
import { createHash } from 'node:crypto'
import type { Presence as PresenceFrame, PresenceMember } from '@parley/protocol'

/** A member of a session in messages between nodes. */
export interface Present {
  readonly member: PresenceMember
  /** Unix milliseconds when the member entered or last changed its state. */
  readonly at: number
}

/** Milliseconds between two frames of a session: the minimum, the maximum, and the part per connection. */
export const INTERVAL_MIN_MS = 100
export const INTERVAL_MAX_MS = 4_000
const INTERVAL_EACH_MS = 3
/** Maximum number of members in a frame, and of their bytes as JSON. */
export const MEMBERS_MAX = 32
export const MEMBERS_MAX_BYTES = 8 * 1024

/** Milliseconds between two frames of a session with `count` connections. */
export function frameIntervalMs(count: number): number {
  return Math.min(INTERVAL_MAX_MS, Math.max(INTERVAL_MIN_MS, count * INTERVAL_EACH_MS))
}

/** Members that a frame names, up to its limits: typing members first, then members with a state, each most recent first. */
export function selectMembers(present: Iterable<Present>): readonly Present[] {
  const selected: Present[] = []
  let bytes = 0
  for (const one of [...present].sort(byRelevance)) {
    if (selected.length === MEMBERS_MAX) break
    bytes += Buffer.byteLength(JSON.stringify(one.member)) + 1
    if (bytes > MEMBERS_MAX_BYTES) break
    selected.push(one)
  }
  return selected
}

const tags = new WeakMap<PresenceFrame, string>()

/** The ETag of a frame: equal for equal members. It is cached, because one frame goes to many readers. */
export function tagOf(frame: PresenceFrame): string {
  const known = tags.get(frame)
  if (known !== undefined) return known
  const { members, count } = frame
  const tag = createHash('sha1')
    .update(JSON.stringify([members, count]))
    .digest('base64url')
    .slice(0, 16)
  tags.set(frame, tag)
  return tag
}

function byRelevance(a: Present, b: Present): number {
  return rank(b) - rank(a) || b.at - a.at || (a.member.connection < b.member.connection ? -1 : 1)
}

function rank({ member: { state } }: Present): number {
  if (state.typing === true) return 2
  for (const key in state) if (key !== 'device') return 1
  return 0
}
