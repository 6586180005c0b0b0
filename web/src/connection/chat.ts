// Chat: one person's client on this page, and the session that its address names. A store outside of React, so that no
// component's life decides when a session is opened or left. Another person gets another Chat.
import { type ClientTool, type ConnectionState, ParleyClient, type Session, type SessionView } from '@parley/client'
import { makeId } from '@parley/protocol/make-id'
import type { Pass } from '../auth/stored-token.ts'
import { Allowance } from '../budget/allowance.ts'
import { Drafts } from '../composer/drafts.ts'
import { localTime } from '../composer/local-time.ts'
import { Sender } from '../composer/sender.ts'
import { Outbox, waitingSessions } from '../composer/unsent-messages.ts'
import { People } from '../people/people.ts'
import { deviceOf, Presence } from '../people/presence.ts'
import { nameByFirstWords } from '../sessions/first-title.ts'
import { RecentSessions } from '../sessions/recent-sessions.ts'
import { addressOf, sessionOf } from '../sessions/session-address.ts'
import { SessionDirectory } from '../sessions/session-directory.ts'
import { Keep } from '../shared/browser-storage.ts'
import { Painted } from '../shared/frame-throttle.ts'
import { Requests } from './requests.ts'

/** A session that the page shows. */
export interface Room {
  /** Another one for each room, also of the same session. */
  readonly key: string
  readonly session: Session
  readonly view: Painted<SessionView>
  readonly sender: Sender
  readonly outbox: Outbox
  readonly people: People
  readonly presence: Presence
  readonly allowance: Allowance
  readonly address: string
  /** What this person was in the session before it was shut to them. */
  readonly formerly?: string
  /** Ends what goes on in it. */
  leave(): void
}

export class Chat {
  /** Another one for each person who comes. */
  readonly key = makeId('chat')
  readonly client: ParleyClient
  readonly connection: Painted<ConnectionState>
  readonly recent: RecentSessions
  readonly directory: SessionDirectory
  readonly drafts: Drafts
  readonly #keep: Keep
  readonly #requests: Requests
  readonly #window: Window
  readonly #left = new AbortController()
  readonly #listeners = new Set<() => void>()
  #room: Room

  constructor(window: Window, pass: Pass) {
    const { origin } = window.location
    this.#window = window
    this.#keep = new Keep(() => window.localStorage, pass.subject)
    this.#requests = new Requests(origin, () => pass.token)
    this.recent = new RecentSessions(this.#keep)
    this.drafts = new Drafts(this.#keep)
    this.client = new ParleyClient({
      url: origin,
      // Asked for at each connection: by then it may be a fresh one.
      ...(pass.token === undefined ? {} : { token: () => pass.token ?? '' }),
      // What is written and where one stands are kept while somebody signs in anew.
      whenTurnedAway: 'wait',
    })
    this.directory = new SessionDirectory(this.client, this.#requests)
    this.connection = new Painted(this.client, (callback) => window.requestAnimationFrame(callback))
    this.#room = this.#enter()
    this.drafts.trim(new Set([this.#room.session.id, ...this.recent.state.map(({ id }) => id)]))
    const { signal } = this.#left
    window.addEventListener('storage', ({ key }) => this.recent.changed(key), { signal })
    window.addEventListener('popstate', () => this.#move(), { signal })
    window.addEventListener('beforeunload', (event) => this.#leaving(event), { signal })
  }

  get room(): Room {
    return this.#room
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Goes to a session that nobody has spoken in. The browser's back button returns to the one before. */
  begin(): void {
    this.go(newSession())
  }

  /** Goes to a session, as a link to it would. */
  go(session: string): void {
    this.#window.history.pushState(null, '', this.addressOf(session))
    this.#move()
  }

  addressOf(session: string): URL {
    return addressOf(session, this.#here())
  }

  /** The sessions in which something written here waits to be sent. */
  waiting(): ReadonlySet<string> {
    return waitingSessions(this.#keep)
  }

  /** The person goes: nothing more is heard or sent for them. */
  close(): void {
    this.#left.abort()
    this.#room.leave()
    this.directory.close()
    this.connection.close()
    this.client.close().catch(reportError)
  }

  #move(): void {
    if (sessionOf(this.#here()) === this.#room.session.id) return
    this.#change()
  }

  #change(options?: EnterOptions): void {
    this.#room.leave()
    this.#room = this.#enter(options)
    for (const listener of [...this.#listeners]) listener()
  }

  /** Opens the session of the address; an address without one gets a new one. */
  #enter({ tools = [localTime], formerly }: EnterOptions = {}): Room {
    const named = sessionOf(this.#here())
    const id = named ?? newSession()
    const address = addressOf(id, this.#here())
    if (named === undefined) this.#window.history.replaceState(null, '', address)
    const session = this.client.session(id, { tools })
    const view = new Painted(session, (callback) => this.#window.requestAnimationFrame(callback))
    const outbox = new Outbox(this.#keep, id)
    const allowance = new Allowance({ session, me: (session) => this.client.me(session) })
    const sender = new Sender(session, outbox, ({ code }) => {
      if (code === 'budget_exceeded' || code === 'too_many_runs') allowance.ask()
    })
    const stopNaming = nameByFirstWords(
      session,
      (message) => sender.isOwn(message),
      (named, title) => this.directory.rename(named, title),
    )
    const room: Room = {
      key: makeId('room'),
      session,
      view,
      sender,
      outbox,
      people: new People(session, this.#requests),
      presence: new Presence(session, deviceOf(this.#window)),
      allowance,
      address: address.href,
      ...(formerly === undefined ? {} : { formerly }),
      leave() {
        stopNaming()
        room.presence.close()
        room.people.close()
        allowance.close()
        view.close()
        session.close().catch(reportError)
      },
    }
    session.subscribe(() => {
      const { error, role } = session.state
      if (this.#room !== room || error?.code !== 'forbidden' || tools.length === 0) return
      // Who may only read may not bring tools. Who may not even that is told so now; what they saw goes from the page.
      this.#change({ tools: [], ...(role === undefined ? {} : { formerly: role }) })
    })
    return room
  }

  /** Where the browser keeps nothing, what waits to be sent would be lost: it asks before that is thrown away. */
  #leaving(event: BeforeUnloadEvent): void {
    if (!this.#room.outbox.isKept) event.preventDefault()
  }

  #here(): URL {
    return new URL(this.#window.location.href)
  }
}

interface EnterOptions {
  readonly tools?: readonly ClientTool[]
  readonly formerly?: string
}

function newSession(): string {
  return makeId('ses')
}
