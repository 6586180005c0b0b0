// Epochs of a log: the current one, which is part of every cursor, and the past ones. A log that was restored from a
// backup gets a new epoch. A cursor from after the backup is then rejected, instead of being mistaken for a position in
// the new history. Cursors that were backed up together with the log stay valid: the store translates them to the
// current epoch when it reads them.
import { type Cursor, formatCursor, parseCursor } from '@parley/protocol'

export interface Epochs {
  readonly current: string
  readonly past: ReadonlySet<string>
}

/** The result of a change of the epoch. */
export interface EpochRenewal {
  readonly before: string
  readonly after: string
}

/**
 * Translates a cursor that was stored together with the log. Never use it for a cursor from a client.
 * @returns the cursor in the current epoch if its epoch is a past one of this log; otherwise the cursor unchanged
 */
export function withCurrentEpoch(epochs: Epochs, cursor: Cursor): Cursor {
  const position = parseCursor(cursor)
  return position !== undefined && epochs.past.has(position.epoch) ? formatCursor(epochs.current, position.seq) : cursor
}

/** The stored form of past epochs: separated by spaces. */
export function formatPastEpochs(past: Iterable<string>): string {
  return [...past].join(' ')
}

/** @param text the stored form; anything else counts as no past epochs */
export function parsePastEpochs(text: unknown): ReadonlySet<string> {
  return new Set(typeof text === 'string' && text !== '' ? text.split(' ') : [])
}
