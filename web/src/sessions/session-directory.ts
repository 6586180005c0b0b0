// SessionDirectory: the person's sessions as the server lists them, the newest activity first, a page at a time. It is asked
// again when something tells that it changed; what comes for an earlier question is dropped.
import { type ListedSession, type ParleyClient, ParleyError } from '@parley/client'
import { type Requests, sessionPath } from '../connection/requests.ts'

/** What the directory needs of a client. */
export type Listing = Pick<ParleyClient, 'state' | 'sessions' | 'deleteSession'>

export interface DirectoryState {
  readonly sessions: readonly ListedSession[]
  /** Where the next page begins, when there is one. */
  readonly next?: string
  readonly status: 'unknown' | 'known' | 'failed'
}

const PAGE = 50
/** The list follows what happens by about a second. */
const LAG_MS = 1_500

export class SessionDirectory {
  readonly #client: Listing
  readonly #requests: Requests
  readonly #listeners = new Set<() => void>()
  #state: DirectoryState = { sessions: [], status: 'unknown' }
  #asked = 0
  /** What the log of the session that is open says: it knows better than a list that follows it. */
  #known: { readonly session: string; readonly title?: string; readonly isShut?: true } | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(client: Listing, requests: Requests) {
    this.#client = client
    this.#requests = requests
  }

  get state(): DirectoryState {
    return this.#state
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Reads as many as are held, from the first. Without a connection it waits until somebody asks again. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#client.state.status !== 'open') return
    await this.#read(undefined, Math.min(200, Math.max(PAGE, this.#state.sessions.length)))
  }

  /** Something happened that the list will tell of soon. */
  refreshSoon(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.refresh(), LAG_MS)
  }

  /** The log of the session that is open says how it is called. */
  know(session: string, title: string): void {
    this.#known = { session, title }
    this.#change((sessions) => sessions)
    this.refreshSoon()
  }

  /** The session that is open is no more, or is shut to this person. */
  knowShut(session: string): void {
    this.#known = { session, isShut: true }
    this.#change((sessions) => sessions)
    this.refreshSoon()
  }

  more(): Promise<void> {
    const { next } = this.#state
    return next === undefined ? Promise.resolve() : this.#read(next, PAGE)
  }

  /** @throws ParleyError */
  async rename(session: string, title: string): Promise<void> {
    await this.#requests.ask('PATCH', sessionPath(session), { title })
    if (this.#known?.session === session) this.#known = { session, title }
    this.#change((sessions) => sessions.map((each) => (each.session === session ? { ...each, title } : each)))
    this.refreshSoon()
  }

  /** For everybody, and for good. @throws ParleyError */
  async delete(session: string): Promise<void> {
    await this.#client.deleteSession(session)
    this.#change((sessions) => sessions.filter((each) => each.session !== session))
    this.refreshSoon()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#asked += 1
  }

  async #read(before: string | undefined, limit: number): Promise<void> {
    this.#asked += 1
    const turn = this.#asked
    try {
      const { sessions, next } = await this.#client.sessions({ limit, ...(before === undefined ? {} : { before }) })
      if (turn !== this.#asked) return
      const held = before === undefined ? [] : this.#state.sessions
      const ids = new Set(sessions.map(({ session }) => session))
      const all = [...held.filter(({ session }) => !ids.has(session)), ...sessions]
      const isFirst = this.#state.status !== 'known'
      this.#become({ sessions: all, status: 'known', ...(next === undefined ? {} : { next }) })
      // What happened just before the page came may not be in it yet.
      if (isFirst) this.refreshSoon()
    } catch (error) {
      if (turn !== this.#asked) return
      if (!(error instanceof ParleyError)) throw error
      // What is held stays.
      this.#become({ ...this.#state, status: 'failed' })
    }
  }

  #change(change: (sessions: readonly ListedSession[]) => readonly ListedSession[]): void {
    this.#become({ ...this.#state, sessions: change(this.#state.sessions) })
  }

  #become({ sessions, ...rest }: DirectoryState): void {
    const { session, title, isShut = false } = this.#known ?? {}
    const corrected = sessions.flatMap((each) => {
      if (each.session !== session) return each
      return isShut ? [] : title === undefined || each.title === title ? each : { ...each, title }
    })
    this.#state = { ...rest, sessions: corrected }
    for (const listener of [...this.#listeners]) listener()
  }
}
