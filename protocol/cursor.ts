// Cursor: a position in a session's log, `<epoch>.<seq>`. Opaque to clients, who only hand it back.
// A cursor stands *after* the entry with its sequence number; seq 0 is before the first entry.
import { z } from 'zod'
import { parseCursor } from './position.ts'

export { formatCursor, type Position, parseCursor } from './position.ts'

export const Cursor = z
  .string()
  .max(81)
  .refine((text) => parseCursor(text) !== undefined, 'a cursor is one that the server gave')
export type Cursor = z.infer<typeof Cursor>
