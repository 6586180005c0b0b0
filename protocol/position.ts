// Position: a parsed cursor. It does not import zod, so that browsers can load it alone.

const PATTERN = /^([A-Za-z0-9_-]{1,64})\.(0|[1-9][0-9]{0,15})$/

/** A parsed cursor: the log's epoch, and the sequence number of the last entry that the reader has. */
export interface Position {
  readonly epoch: string
  readonly seq: number
}

export function formatCursor(epoch: string, seq: number): string {
  return `${epoch}.${seq}`
}

/** @returns undefined if the text is not a cursor, or its number exceeds 2^53 - 1 */
export function parseCursor(text: string): Position | undefined {
  const match = PATTERN.exec(text)
  if (match === null) return undefined
  const seq = Number(match[2])
  return Number.isSafeInteger(seq) ? { epoch: match[1] as string, seq } : undefined
}

/** Whether a cursor is after another one. Cursors of another epoch cannot be compared: they count as after. */
export function isAfter(cursor: string, other: string): boolean {
  const a = parseCursor(cursor)
  const b = parseCursor(other)
  return a === undefined || b === undefined || a.epoch !== b.epoch || a.seq > b.seq
}
