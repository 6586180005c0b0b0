// Ids: 1–128 of `A-Z a-z 0-9 _ -`. Ids that Parley makes sort by the time they were made.
import { z } from 'zod'

export { makeId, timeOfId } from './make-id.ts'

export const ID_MAX_LENGTH = 128
export const Id = z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, 'an id is 1–128 of A-Z a-z 0-9 _ -')
export type Id = z.infer<typeof Id>
