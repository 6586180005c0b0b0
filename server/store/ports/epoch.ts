// Epochs of a log: the present one, which every cursor carries, and those of its past. A log that was restored from a copy
// is given a new one, so that a cursor from after the copy was taken is refused, and not mistaken for a place in what came
// since. What was copied together with the log and carries cursors is right under any of them: they are read as of now.
import { type Cursor, formatCursor, parseCursor } from '@parley/protocol'

export interface Epochs {
  readonly present: string
  readonly past: ReadonlySet<string>
}

export interface Renewal {
  readonly before: string
  readonly after: string
}

/** A cursor that was stored beside the log, as of its present epoch. One of elsewhere stays as it is. */
export function presently(epochs: Epochs, cursor: Cursor): Cursor {
  const position = parseCursor(cursor)
  return position !== undefined && epochs.past.has(position.epoch) ? formatCursor(epochs.present, position.seq) : cursor
}

/** As they are stored. */
export function writePast(past: Iterable<string>): string {
  return [...past].join(' ')
}

export function readPast(text: unknown): ReadonlySet<string> {
  return new Set(typeof text === 'string' && text !== '' ? text.split(' ') : [])
}
