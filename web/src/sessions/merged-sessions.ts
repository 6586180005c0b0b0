// MergedSessions: the list of chats on the page, from the server's list and this browser's recent sessions. Pure.
import type { ListedSession } from '@parley/client'
import { type RecentSession, UNTITLED } from './recent-sessions.ts'

export interface MergedSession {
  readonly id: string
  readonly title: string
  /** The last activity, in Unix milliseconds. */
  readonly time: number
  /** The user's role if the server lists the session; undefined if only this browser knows it. */
  readonly role?: string
}

/**
 * The server's title wins. For a session without a title, this browser may know its first message.
 * @returns the newest first
 */
export function mergeSessions(listed: readonly ListedSession[], recent: readonly RecentSession[]): MergedSession[] {
  const known = new Map(recent.map((each) => [each.id, each]))
  const merged = new Map<string, MergedSession>()
  for (const { session: id, title, role, updatedAt } of listed) {
    const local = known.get(id)
    const time = Math.max(updatedAt, local?.time ?? 0)
    merged.set(id, { id, title: title ?? local?.title ?? UNTITLED, time, role })
  }
  for (const { id, title, time } of recent) if (!merged.has(id)) merged.set(id, { id, title, time })
  return [...merged.values()].sort((a, b) => b.time - a.time)
}

/** The sessions whose titles contain every word of the query, in any case. */
export function withWords(sessions: readonly MergedSession[], query: string): readonly MergedSession[] {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean)
  return sessions.filter(({ title }) => {
    const text = title.toLocaleLowerCase()
    return words.every((word) => text.includes(word))
  })
}
