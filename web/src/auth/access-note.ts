// AccessNote: which errors end a user's access to a chat, and what the page says then. Pure.
import type { ParleyError } from '@parley/client'

export interface AccessNote {
  readonly title: string
  readonly text: string
}

const ACCESS_ERRORS: ReadonlySet<string> = new Set(['forbidden', 'session_deleted', 'session_not_found'])

export function isAccessError(error: Pick<ParleyError, 'code'>): boolean {
  return ACCESS_ERRORS.has(error.code)
}

/** @param wasMember whether the user had access before */
export function accessNote(error: Pick<ParleyError, 'code'>, wasMember: boolean): AccessNote {
  if (error.code !== 'forbidden') return { title: 'This chat no longer exists', text: 'It was deleted for everyone.' }
  return wasMember
    ? { title: 'You’re no longer a member', text: 'You left this chat, or an owner removed you.' }
    : { title: 'You don’t have access to this chat', text: 'Ask an owner for an invitation.' }
}
