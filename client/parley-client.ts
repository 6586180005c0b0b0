// ParleyClient: one connection to a server, and the sessions that are open over it.
import type { MeAnswer, ServerFrame, SessionsAnswer } from '@parley/protocol'
import { bindMethods } from './bind-methods.ts'
import type { ClientOptions } from './client-options.ts'
import { Connection } from './connection/connection.ts'
import type { ConnectionState } from './connection/connection-state.ts'
import type { ParleyError } from './parley-error.ts'
import { AttachedSession, type SessionOptions } from './session/attached-session.ts'
import type { Session } from './session/session.ts'
import { LoadingRequests } from './transport/http/loading-requests.ts'
import type { ListOptions } from './transport/http/server-requests.ts'

/**
 * A client of one server. All its sessions share one connection.
 * @example
 * const client = new ParleyClient({ url: 'https://chat.example.com', token: () => fetchAccessToken() })
 * for await (const text of client.session('trip').send('Plan a weekend in Bern').text()) process.stdout.write(text)
 */
export class ParleyClient {
  readonly #connection: Connection
  readonly #sessions = new Map<string, AttachedSession>()
  readonly #requests: LoadingRequests

  /** Connects when the first session is opened. @throws TypeError for an invalid URL */
  constructor(options: ClientOptions) {
    bindMethods<ParleyClient>(this, ParleyClient.prototype)
    this.#requests = new LoadingRequests(options)
    this.#connection = new Connection(options, {
      opened: () => {
        for (const session of this.#sessions.values()) session.opened()
      },
      lost: () => {
        for (const session of this.#sessions.values()) session.lost()
      },
      ended: (error) => this.#ended(error),
      delayed: ({ session, id }, { code }, until) => this.#sessions.get(session)?.delayed(id, { code, until }),
      frames: (frames) => this.#frames(frames),
      sample: () => {
        for (const { id, state } of this.#sessions.values()) {
          if (state.status === 'live') return { session: id, after: state.cursor }
        }
        return undefined
      },
    })
  }

  /** The state of the connection. Immutable: each change creates another object. */
  get state(): ConnectionState {
    return this.#connection.state
  }

  /**
   * `state`, as a function for stores such as React's `useSyncExternalStore`.
   * @example
   * const { status } = useSyncExternalStore(client.subscribe, client.getSnapshot)
   */
  readonly getSnapshot = (): ConnectionState => this.#connection.state

  /**
   * Calls the listener after each change of `state`.
   * @returns a function that unsubscribes
   * @example
   * const unsubscribe = client.subscribe(() => console.log(client.state.status, client.state.transport.door))
   */
  readonly subscribe = (listener: () => void): (() => void) => this.#connection.subscribe(listener)

  /**
   * The server's time in Unix milliseconds. Compare it with times from the server, such as `until` of a tool call: the
   * clock of the device may be wrong. Before the first connection it is the time of the device.
   * @example
   * for (const { until } of session.state.calls.values()) console.log('expires in', until - client.now(), 'ms')
   */
  readonly now = (): number => this.#connection.serverTime

  /**
   * Connects now instead of with the first session.
   * @throws ParleyError closed, or why the client has ended
   * @example
   * client.connect()
   */
  connect(): void {
    if (this.#connection.state.status === 'closed') throw this.#connection.error()
    this.#connection.connect()
  }

  /**
   * Announces a fresh access token: the client asks for it and sends it over the open connection. Sessions stay
   * attached. A client that waits for a token (`whenTurnedAway: 'wait'`) reconnects.
   * @example
   * client.renew()
   */
  renew(): void {
    this.#requests.renew()
    this.#connection.renew()
  }

  /**
   * Opens a session, and creates it on the server if it does not exist. Repeated calls return the same object until the
   * session is closed or ends with an error; then the next call returns a new, live one. If the client has ended, the
   * session is offline with the reason in `state.error`.
   * @param id 1–128 characters of A–Z a–z 0–9 _ -
   * @example
   * const session = client.session('trip')
   * await session.send('Hello').accepted
   */
  session(id: string, options: SessionOptions = {}): Session {
    const open = this.#sessions.get(id)
    if (open !== undefined) return open
    const session = new AttachedSession(this.#connection, id, options, () => {
      if (this.#sessions.get(id) === session) this.#sessions.delete(id)
    })
    this.#sessions.set(id, session)
    if (this.#connection.state.status === 'closed') {
      session.ended(this.#connection.error())
      this.#sessions.delete(id)
    }
    this.#connection.connect()
    return session
  }

  /**
   * Lists the user's sessions page by page, the most recently active first. Works without a connection.
   * @throws ParleyError
   * @example
   * const { sessions, next } = await client.sessions({ limit: 20 })
   * for (const { session, title, active } of sessions) console.log(session, title, active)
   */
  async sessions(options: ListOptions = {}): Promise<SessionsAnswer> {
    return (await this.#requests.load()).sessions(options)
  }

  /**
   * Deletes a session permanently, for everyone; only owners may. If it is open here, it ends with `session_deleted`.
   * @throws ParleyError forbidden, session_not_found, session_deleted
   * @example
   * await client.session('old-trip').send('Hello').accepted
   * await client.deleteSession('old-trip')
   */
  async deleteSession(id: string): Promise<void> {
    await (await this.#requests.load()).deleteSession(id)
  }

  /**
   * Reports the client's user as the server sees it, and what this user may still use: concurrent runs and the rest of
   * the token budget. With a session id it includes that session's budget. Works without a connection.
   * @throws ParleyError
   * @example
   * const { user } = await client.me()
   */
  async me(session?: string): Promise<MeAnswer> {
    return (await this.#requests.load()).me(session)
  }

  /**
   * Closes every session and the connection. Unanswered commands and requests reject with code `closed`, and so does
   * everything that is called later, except what only reads. `renew` then does nothing.
   * @example
   * await client.close()
   */
  async close(): Promise<void> {
    this.#connection.close()
    this.#requests.close()
  }

  #frames(frames: readonly ServerFrame[]): void {
    const touched = new Set<AttachedSession>()
    for (const frame of frames) {
      if (frame.type === 'error') {
        for (const session of [...this.#sessions.values()]) if (session.refused(frame)) break
        continue
      }
      const session = 'session' in frame && frame.session !== undefined ? this.#sessions.get(frame.session) : undefined
      if (session === undefined) continue
      session.frame(frame)
      touched.add(session)
    }
    for (const session of touched) session.flush()
  }

  #ended(error: ParleyError): void {
    const sessions = [...this.#sessions.values()]
    this.#sessions.clear()
    for (const session of sessions) session.ended(error)
  }
}
