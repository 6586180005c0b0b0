// Roles: what a member of a session may do there. Where nobody needs a token, everybody is an owner.
import { z } from 'zod'
import { ROLES } from './permission.ts'

export * from './permission.ts'

export const Role = z.enum(ROLES)
export type Role = z.infer<typeof Role>
