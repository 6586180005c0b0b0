// SessionListStore: the user's sessions as the server lists them, the most recent activity first, page by page. It
// reads the list again after changes, and drops the response of an outdated request.
import { type ListedSession, type ParleyClient, ParleyError } from '@parley/client'
import { type Requests, sessionPath } from '../connection/requests.ts'
import { Store } from '../shared/store.ts'

/** The part of a client that the list uses. */
export type SessionListClient = Pick<ParleyClient, 'state' | 'sessions' | 'deleteSession'>

export interface SessionListState {
  readonly sessions: readonly ListedSession[]
  /** The cursor of the next page, if there is one. */
  readonly next?: string
  readonly status: 'unknown' | 'known' | 'failed'
}

const PAGE = 50
/** The server's list lags behind the log by about a second. */
const LAG_MS = 1_500

export class SessionListStore extends Store<SessionListState> {
  readonly #client: SessionListClient
  readonly #requests: Requests
  #requestCount = 0
  /** What the log of the open session says. It is newer than the list. */
  #override: { readonly session: string; readonly title?: string; readonly isHidden?: true } | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(client: SessionListClient, requests: Requests) {
    super({ sessions: [], status: 'unknown' })
    this.#client = client
    this.#requests = requests
  }

  /** Reads as many sessions as are loaded, from the first one. Without a connection it does nothing. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#client.state.status !== 'open') return
    await this.#read(undefined, Math.min(200, Math.max(PAGE, this.state.sessions.length)))
  }

  /** Refreshes once the server's list contains the latest changes. */
  refreshSoon(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.refresh(), LAG_MS)
  }

  /** Shows the title from the log of the open session. */
  overrideTitle(session: string, title: string): void {
    this.#override = { session, title }
    this.#update((sessions) => sessions)
    this.refreshSoon()
  }

  /** Hides the open session: it was deleted, or the user lost access. */
  hide(session: string): void {
    this.#override = { session, isHidden: true }
    this.#update((sessions) => sessions)
    this.refreshSoon()
  }

  more(): Promise<void> {
    const { next } = this.state
    return next === undefined ? Promise.resolve() : this.#read(next, PAGE)
  }

  /** @throws ParleyError */
  async rename(session: string, title: string): Promise<void> {
    await this.#requests.send('PATCH', sessionPath(session), { title })
    if (this.#override?.session === session) this.#override = { session, title }
    this.#update((sessions) => sessions.map((each) => (each.session === session ? { ...each, title } : each)))
    this.refreshSoon()
  }

  /** Deletes the session permanently, for everyone. @throws ParleyError */
  async delete(session: string): Promise<void> {
    await this.#client.deleteSession(session)
    this.#update((sessions) => sessions.filter((each) => each.session !== session))
    this.refreshSoon()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#requestCount += 1
  }

  async #read(before: string | undefined, limit: number): Promise<void> {
    this.#requestCount += 1
    const request = this.#requestCount
    try {
      const { sessions, next } = await this.#client.sessions({ limit, ...(before === undefined ? {} : { before }) })
      if (request !== this.#requestCount) return
      const loaded = before === undefined ? [] : this.state.sessions
      const ids = new Set(sessions.map(({ session }) => session))
      const all = [...loaded.filter(({ session }) => !ids.has(session)), ...sessions]
      const isFirst = this.state.status !== 'known'
      this.#set({ sessions: all, status: 'known', ...(next === undefined ? {} : { next }) })
      // The first page may miss the latest activity.
      if (isFirst) this.refreshSoon()
    } catch (error) {
      if (request !== this.#requestCount) return
      if (!(error instanceof ParleyError)) throw error
      this.#set({ ...this.state, status: 'failed' })
    }
  }

  #update(change: (sessions: readonly ListedSession[]) => readonly ListedSession[]): void {
    this.#set({ ...this.state, sessions: change(this.state.sessions) })
  }

  #set({ sessions, ...rest }: SessionListState): void {
    const { session, title, isHidden = false } = this.#override ?? {}
    const corrected = sessions.flatMap((each) => {
      if (each.session !== session) return each
      return isHidden ? [] : title === undefined || each.title === title ? each : { ...each, title }
    })
    this.setState({ ...rest, sessions: corrected })
  }
}
