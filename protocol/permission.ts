// Permissions: what each role of a session allows. Free of schemas, so that pages can ask it, too. Pure.

export const ROLES = ['owner', 'editor', 'approver', 'viewer'] as const

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
} as const satisfies Readonly<Record<string, readonly (typeof ROLES)[number][]>>
export type Permission = keyof typeof ALLOWED

export function may(role: string, permission: Permission): boolean {
  return (ALLOWED[permission] as readonly string[]).includes(role)
}
