// Cursor: a position in a session's log, `<epoch>.<seq>`. It is opaque to clients, which only send it back.
// The position is *after* the entry with that sequence number; seq 0 is before the first entry.
import { z } from 'zod'
import { parseCursor } from './position.ts'

export { formatCursor, type Position, parseCursor } from './position.ts'

export const Cursor = z
  .string()
  .max(81)
  .refine((text) => parseCursor(text) !== undefined, 'must be a cursor from the server')
export type Cursor = z.infer<typeof Cursor>
