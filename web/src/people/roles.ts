// Roles, as the page tells people of them. What they allow is the server's to say, which checks it. Pure.
import { may, type Permission, ROLES } from '@parley/protocol/permission'

export { type Permission, ROLES }

const NAMES: Readonly<Record<string, string>> = {
  owner: 'Owner',
  editor: 'Editor',
  approver: 'Approver',
  viewer: 'Viewer',
}

const DOES: Readonly<Record<string, string>> = {
  owner: 'writes, approves and manages people',
  editor: 'writes and redirects',
  approver: 'reads, and approves what tools do',
  viewer: 'reads',
}

/** A later server may know roles that this page does not. */
export function roleName(role: string): string {
  return NAMES[role] ?? role
}

export function roleDoes(role: string): string {
  return DOES[role] ?? ''
}

/** Until the role is known nothing is taken away: the server refuses what may not be. */
export function mayDo(role: string | undefined, permission: Permission): boolean {
  return role === undefined || !(role in NAMES) || may(role, permission)
}
