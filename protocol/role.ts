// Roles: the schema of a member's role. If the server requires no access tokens, every user is an owner.
import { z } from 'zod'
import { ROLES } from './permission.ts'

export * from './permission.ts'

export const Role = z.enum(ROLES)
export type Role = z.infer<typeof Role>
