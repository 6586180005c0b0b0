// Cursor: a position in a session's log, `<epoch>.<seq>`. Opaque to clients, who only hand it back.
// A cursor stands *after* the entry with its sequence number; seq 0 is before the first entry.
import { z } from 'zod'

const PATTERN = /^([A-Za-z0-9_-]{1,64})\.(0|[1-9][0-9]{0,15})$/

export const Cursor = z
  .string()
  .max(81)
  .refine((text) => parseCursor(text) !== undefined, 'a cursor is one that the server gave')
export type Cursor = z.infer<typeof Cursor>

/** A cursor taken apart: the log's epoch, and the sequence number of the last entry that was seen. */
export interface Position {
  readonly epoch: string
  readonly seq: number
}

export function formatCursor(epoch: string, seq: number): Cursor {
  return `${epoch}.${seq}`
}

/** @returns undefined when the text is not a cursor, or its number is beyond 2^53 - 1 */
export function parseCursor(text: string): Position | undefined {
  const match = PATTERN.exec(text)
  if (match === null) return undefined
  const seq = Number(match[2])
  return Number.isSafeInteger(seq) ? { epoch: match[1] as string, seq } : undefined
}
