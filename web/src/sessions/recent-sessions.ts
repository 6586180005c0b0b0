// RecentSessions: the sessions that were spoken in, or read, in this browser, the last first. Bounded; shared by the
// browser's tabs. The server has a list of its own.
import type { Keep } from '../shared/browser-storage.ts'

export interface RecentSession {
  readonly id: string
  readonly title: string
  /** Unix milliseconds of what was last said there, as far as this browser knows. */
  readonly time: number
}

const KEY = 'parley.sessions'
const MAX = 50
const TITLE_MAX = 80

export class RecentSessions {
  readonly #keep: Keep
  readonly #listeners = new Set<() => void>()
  #state: readonly RecentSession[]

  constructor(keep: Keep) {
    this.#keep = keep
    this.#state = this.#read()
  }

  get state(): readonly RecentSession[] {
    return this.#state
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Another tab has written. @param key what it wrote; null: all of it is gone */
  changed(key: string | null): void {
    if (key === null || this.#keep.isKey(key, KEY)) this.#become(this.#read())
  }

  note(session: RecentSession): void {
    const title = titleOf(session.title)
    const held = this.#read()
    const before = held.find(({ id }) => id === session.id)
    if (before?.title === title && before.time >= session.time) return
    const others = held.filter(({ id }) => id !== session.id)
    const time = Math.max(session.time, before?.time ?? 0)
    this.#write([...others, { id: session.id, title, time }].sort((a, b) => b.time - a.time).slice(0, MAX))
  }

  forget(id: string): void {
    this.#write(this.#read().filter((session) => session.id !== id))
  }

  #write(sessions: readonly RecentSession[]): void {
    this.#keep.write(KEY, sessions)
    this.#become(sessions)
  }

  #read(): readonly RecentSession[] {
    const held = this.#keep.read(KEY)
    return Array.isArray(held) ? held.filter(isRecent).slice(0, MAX) : []
  }

  #become(sessions: readonly RecentSession[]): void {
    this.#state = sessions
    for (const listener of [...this.#listeners]) listener()
  }
}

/** One line, not longer than a list is wide. */
export function titleOf(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  const title = line.length <= TITLE_MAX ? line : `${line.slice(0, TITLE_MAX - 1).trimEnd()}…`
  return title === '' ? 'Untitled' : title
}

function isRecent(value: unknown): value is RecentSession {
  if (typeof value !== 'object' || value === null) return false
  const { id, title, time } = value as Partial<Record<keyof RecentSession, unknown>>
  return (
    typeof id === 'string' &&
    /^[A-Za-z0-9_-]{1,128}$/.test(id) &&
    typeof title === 'string' &&
    title.length <= TITLE_MAX &&
    typeof time === 'number'
  )
}
