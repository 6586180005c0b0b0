// Resumption: what a reconnecting client reports for the server's metrics: its previous transport, and for how long it
// received nothing during a run. Pure.
import type { Resume } from '@parley/protocol'
import type { Door } from './door.ts'

export interface PreviousConnection {
  readonly kind: Door
  /** Unix milliseconds of the last received frame. */
  readonly receivedAt: number
}

const DAY_MS = 24 * 60 * 60 * 1000

/** The protocol's name of a transport. */
export function wireName(kind: Door): Resume['door'] {
  return kind === 'long-poll' ? 'poll' : kind
}

/** @param isRunning whether the client knows of an active run: without one, there was no gap */
export function resumption(previous: PreviousConnection, now: number, isRunning: boolean): Resume {
  const gapMs = Math.round(Math.min(DAY_MS, Math.max(0, now - previous.receivedAt)))
  return { door: wireName(previous.kind), gapMs: isRunning ? gapMs : undefined }
}

/** The same as an HTTP header. */
export function resumeHeaders(resume: Resume | undefined): Readonly<Record<string, string>> {
  if (resume === undefined) return {}
  const { door, gapMs } = resume
  return { 'Parley-Resume': gapMs === undefined ? door : `${door}; gap=${gapMs}` }
}
