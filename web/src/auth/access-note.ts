// ShutNote: which errors shut a session to this person, or to everybody, and what the page says then. Pure.
import type { ParleyError } from '@parley/client'

export interface ShutNote {
  readonly title: string
  readonly text: string
}

const SHUT: ReadonlySet<string> = new Set(['forbidden', 'session_deleted', 'session_not_found'])

export function isShut(error: Pick<ParleyError, 'code'>): boolean {
  return SHUT.has(error.code)
}

/** @param wasMember the person has seen it before */
export function shutNote(error: Pick<ParleyError, 'code'>, wasMember: boolean): ShutNote {
  if (error.code !== 'forbidden') return { title: 'This session is gone', text: 'It was deleted, for everybody.' }
  return wasMember
    ? { title: 'You are no member any more', text: 'Somebody removed you from this session, or you left it.' }
    : { title: 'This session is not open to you', text: 'Ask one of its owners for an invitation.' }
}
