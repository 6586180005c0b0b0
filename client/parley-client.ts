// ParleyClient: one connection to a server, and the sessions that are open over it.
import type { MeAnswer, ServerFrame, SessionsAnswer } from '@parley/protocol'
import type { ClientOptions } from './client-options.ts'
import { Connection } from './connection/connection.ts'
import type { ConnectionState } from './connection/connection-state.ts'
import type { ParleyError } from './parley-error.ts'
import { AttachedSession, type SessionOptions } from './session/attached-session.ts'
import type { Session } from './session/session.ts'
import { type ListOptions, SessionCatalog } from './session/session-catalog.ts'
import { RetryingCaller } from './transport/http/retrying-caller.ts'

export class ParleyClient {
  readonly #connection: Connection
  readonly #sessions = new Map<string, AttachedSession>()
  readonly #caller: RetryingCaller
  readonly #catalog: SessionCatalog

  /** Connects when the first session is opened. @throws TypeError for a URL that is none */
  constructor(options: ClientOptions) {
    this.#caller = new RetryingCaller(options)
    this.#catalog = new SessionCatalog(this.#caller)
    this.#connection = new Connection(options, {
      opened: () => {
        for (const session of this.#sessions.values()) session.opened()
      },
      lost: () => {
        for (const session of this.#sessions.values()) session.lost()
      },
      moved: () => {
        for (const session of this.#sessions.values()) session.opened()
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

  /** Immutable: another object after each change. */
  get state(): ConnectionState {
    return this.#connection.state
  }

  /** @returns a function that unsubscribes */
  subscribe(listener: () => void): () => void {
    return this.#connection.subscribe(listener)
  }

  /** Connects now, rather than with the first session. */
  connect(): void {
    this.#connection.connect()
  }

  /**
   * A fresh token is there: it is asked for, and given on the open connection. All that is attached goes on. A client that was
   * turned away, and waits, comes back with it.
   */
  renew(): void {
    this.#caller.renew()
    this.#connection.renew()
  }

  /** The session with that id, made on the server where it is new. The same object until it is closed. */
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
   * The user's sessions, page by page, the newest activity first. Needs no connection.
   * @throws ParleyError
   */
  sessions(options: ListOptions = {}): Promise<SessionsAnswer> {
    return this.#catalog.list(options)
  }

  /**
   * Deletes a session, for everybody and for good; only owners may. Where it is open, it ends with `session_deleted`.
   * @throws ParleyError forbidden, session_not_found, session_deleted
   */
  deleteSession(id: string): Promise<void> {
    return this.#catalog.delete(id)
  }

  /**
   * Who the server takes this client for, and what the user may use: runs at once, and the budget of tokens with what is left
   * of it. Of a session's budget too, where one is named. Needs no connection.
   * @throws ParleyError
   */
  async me(session?: string): Promise<MeAnswer> {
    const query = session === undefined ? '' : `?session=${encodeURIComponent(session)}`
    return (await this.#caller.ask({ method: 'GET', path: `/v1/me${query}` })) as MeAnswer
  }

  /** Leaves every session and ends the connection. What was not answered yet is rejected. */
  async close(): Promise<void> {
    this.#connection.close()
    this.#caller.close()
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
