// Id: 1–128 characters from `A-Z a-z 0-9 _ -`. Ids that Parley makes sort by creation time.
import { z } from 'zod'

export { makeId, timeOfId } from './make-id.ts'

export const ID_MAX_LENGTH = 128
export const Id = z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, 'must be 1–128 characters from A-Z a-z 0-9 _ -')
export type Id = z.infer<typeof Id>
