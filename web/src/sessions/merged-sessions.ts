// ShownSessions: the one list that people see, of what the server lists and what this browser remembers. Pure.

import type { ListedSession } from '@parley/client'
import type { RecentSession } from './recent-sessions.ts'

export interface ShownSession {
  readonly id: string
  readonly title: string
  /** Unix milliseconds of what was last done there. */
  readonly time: number
  /** The person's, where the server lists it; undefined: only this browser knows of it. */
  readonly role?: string
}

/**
 * The server knows best; of a session without a title this browser remembers what was said first.
 * @returns the newest first; what only the browser knows is in its place among them
 */
export function shownSessions(listed: readonly ListedSession[], recent: readonly RecentSession[]): ShownSession[] {
  const remembered = new Map(recent.map((each) => [each.id, each]))
  const shown = new Map<string, ShownSession>()
  for (const { session: id, title, role, updatedAt } of listed) {
    const known = remembered.get(id)
    const time = Math.max(updatedAt, known?.time ?? 0)
    shown.set(id, { id, title: title ?? known?.title ?? untitled(updatedAt), time, role })
  }
  for (const { id, title, time } of recent) if (!shown.has(id)) shown.set(id, { id, title, time })
  return [...shown.values()].sort((a, b) => b.time - a.time)
}

const UNTITLED = { month: 'long', day: 'numeric', hour: '2-digit', minute: '2-digit' } as const

function untitled(time: number): string {
  return `Session of ${new Date(time).toLocaleString(undefined, UNTITLED)}`
}
