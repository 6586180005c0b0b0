// Resumption: what a client that comes back tells the server of before, for its metrics: by which door it read, and for how
// long it has heard nothing while a run was under way. Pure.
import type { Resume } from '@parley/protocol'
import type { Door } from './door.ts'

/** The connection of before. */
export interface Left {
  readonly door: Door
  /** Unix milliseconds at which something last came. */
  readonly heardAt: number
}

const DAY_MS = 24 * 60 * 60 * 1000

/** A door as the protocol names it. */
export function doorName(door: Door): Resume['door'] {
  return door === 'long-poll' ? 'poll' : door
}

/** @param isRunning a run was under way, as far as this client knows: only then was there anything to miss */
export function resumption(left: Left, now: number, isRunning: boolean): Resume {
  const gapMs = Math.round(Math.min(DAY_MS, Math.max(0, now - left.heardAt)))
  return { door: doorName(left.door), ...(isRunning ? { gapMs } : {}) }
}

/** As it is told over plain HTTP. */
export function resumeHeaders(resume: Resume | undefined): Readonly<Record<string, string>> {
  if (resume === undefined) return {}
  const { door, gapMs } = resume
  return { 'Parley-Resume': gapMs === undefined ? door : `${door}; gap=${gapMs}` }
}
