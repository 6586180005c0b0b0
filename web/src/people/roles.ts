// Roles: their names and permissions on the page. The server enforces them. Pure.
import { may, type Permission, ROLES } from '@parley/protocol/permission'

export { type Permission, ROLES }

const NAMES: Readonly<Record<string, string>> = {
  owner: 'Owner',
  editor: 'Editor',
  approver: 'Approver',
  viewer: 'Viewer',
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  owner: 'can send, approve and manage people',
  editor: 'can send and interrupt',
  approver: 'can view and approve tool calls',
  viewer: 'can view',
}

/** A newer server may have more roles. */
export function roleName(role: string): string {
  return NAMES[role] ?? role
}

export function roleDescription(role: string): string {
  return DESCRIPTIONS[role] ?? ''
}

/** True for an unknown role: the server refuses what the role does not allow. */
export function mayDo(role: string | undefined, permission: Permission): boolean {
  return role === undefined || !(role in NAMES) || may(role, permission)
}
