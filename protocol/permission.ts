// Permissions: the actions that each role of a session allows. It does not import zod, so that browsers can load it
// alone.

export const ROLES = ['owner', 'editor', 'approver', 'viewer'] as const

const ALLOWED = {
  /** Read the session and be present in it. */
  read: ['owner', 'editor', 'approver', 'viewer'],
  /** Send, cancel, redirect. */
  send: ['owner', 'editor'],
  /** Declare tools, claim calls, send their results. */
  run: ['owner', 'editor'],
  /** Approve or deny tool calls. */
  decide: ['owner', 'approver'],
  /** Invite and remove members, assign roles, set the title. */
  manage: ['owner'],
} as const satisfies Readonly<Record<string, readonly (typeof ROLES)[number][]>>
export type Permission = keyof typeof ALLOWED

/** The role that allows what both roles allow. */
export function commonRole(one: string, other: string): (typeof ROLES)[number] {
  const permissions = Object.keys(ALLOWED) as Permission[]
  const both = (permission: Permission): boolean => may(one, permission) && may(other, permission)
  return ROLES.find((role) => permissions.every((permission) => may(role, permission) === both(permission))) ?? 'viewer'
}

/** Whether a role of a session has a permission. Unknown roles have none. */
export function may(role: string, permission: Permission): boolean {
  return (ALLOWED[permission] as readonly string[]).includes(role)
}
