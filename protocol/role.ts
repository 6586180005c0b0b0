// Roles: what a member of a session may do there. Where nobody needs a token, everybody is an owner.
import { z } from 'zod'

export const ROLES = ['owner', 'editor', 'approver', 'viewer'] as const
export const Role = z.enum(ROLES)
export type Role = z.infer<typeof Role>

const ALLOWED = {
  /** Reads the session, and is seen there. */
  read: ['owner', 'editor', 'approver', 'viewer'],
  /** Sends, cancels, redirects. */
  send: ['owner', 'editor'],
  /** Declares tools, claims calls, gives their results. */
  run: ['owner', 'editor'],
  /** Decides about calls that wait for a person. */
  decide: ['owner', 'approver'],
  /** Invites, removes, gives roles, names the session. */
  manage: ['owner'],
} as const satisfies Readonly<Record<string, readonly Role[]>>
export type Permission = keyof typeof ALLOWED

export function may(role: string, permission: Permission): boolean {
  return (ALLOWED[permission] as readonly string[]).includes(role)
}
