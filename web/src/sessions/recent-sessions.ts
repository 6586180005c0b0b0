// RecentSessions: the sessions that this browser has opened and that contain messages, the latest first. The list is
// limited and shared by all tabs. The server has its own list.
import { TITLE_CHARS, titleOf } from '@parley/protocol/title'
import type { BrowserStorage } from '../shared/browser-storage.ts'
import { Store } from '../shared/store.ts'

export interface RecentSession {
  readonly id: string
  readonly title: string
  /** The last message that this browser has seen, in Unix milliseconds. */
  readonly time: number
}

export const UNTITLED = 'Untitled chat'

const KEY = 'parley.sessions'
const MAX = 50

export class RecentSessions extends Store<readonly RecentSession[]> {
  readonly #storage: BrowserStorage

  constructor(storage: BrowserStorage) {
    super(read(storage))
    this.#storage = storage
  }

  /** Another tab has changed the storage. @param key the changed key; null: everything was removed */
  changed(key: string | null): void {
    if (key === null || this.#storage.isKey(key, KEY)) this.setState(read(this.#storage))
  }

  note(session: RecentSession): void {
    const title = titleOf(session.title) ?? UNTITLED
    const stored = read(this.#storage)
    const before = stored.find(({ id }) => id === session.id)
    if (before?.title === title && before.time >= session.time) return
    const others = stored.filter(({ id }) => id !== session.id)
    const time = Math.max(session.time, before?.time ?? 0)
    this.#write([...others, { id: session.id, title, time }].sort((a, b) => b.time - a.time).slice(0, MAX))
  }

  forget(id: string): void {
    this.#write(read(this.#storage).filter((session) => session.id !== id))
  }

  #write(sessions: readonly RecentSession[]): void {
    this.#storage.write(KEY, sessions)
    this.setState(sessions)
  }
}

function read(storage: BrowserStorage): readonly RecentSession[] {
  const stored = storage.read(KEY)
  return Array.isArray(stored) ? stored.filter(isRecent).slice(0, MAX) : []
}

function isRecent(value: unknown): value is RecentSession {
  if (typeof value !== 'object' || value === null) return false
  const { id, title, time } = value as Partial<Record<keyof RecentSession, unknown>>
  return (
    typeof id === 'string' &&
    /^[A-Za-z0-9_-]{1,128}$/.test(id) &&
    typeof title === 'string' &&
    title.length <= TITLE_CHARS &&
    typeof time === 'number'
  )
}
