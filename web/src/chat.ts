// Chat: the page's one client, and the session that its address names. A store outside of React, so that no
// component's life decides when a session is opened or left.
import { type ConnectionState, ParleyClient, type Session, type SessionView } from '@parley/client'
import { makeId } from '@parley/protocol/make-id'
import { addressOf, sessionOf } from './address.ts'
import { Drafts } from './drafts.ts'
import { Keep } from './keep.ts'
import { localTime } from './local-time.ts'
import { Outbox, waitingSessions } from './outbox.ts'
import { Painted } from './painted.ts'
import { RecentSessions } from './recent-sessions.ts'
import { Sender } from './sender.ts'

/** A session that the page shows. */
export interface Room {
  readonly session: Session
  readonly view: Painted<SessionView>
  readonly sender: Sender
  readonly outbox: Outbox
  readonly address: string
}

export class Chat {
  readonly client: ParleyClient
  readonly connection: Painted<ConnectionState>
  readonly recent: RecentSessions
  readonly drafts: Drafts
  readonly #keep: Keep
  readonly #window: Window
  readonly #listeners = new Set<() => void>()
  #room: Room

  constructor(window: Window) {
    this.#window = window
    this.#keep = new Keep(() => window.localStorage)
    this.recent = new RecentSessions(this.#keep)
    this.drafts = new Drafts(this.#keep)
    this.client = new ParleyClient({ url: window.location.origin })
    this.connection = new Painted(this.client, (callback) => window.requestAnimationFrame(callback))
    this.#room = this.#enter()
    this.drafts.trim(new Set([this.#room.session.id, ...this.recent.state.map(({ id }) => id)]))
    window.addEventListener('storage', ({ key }) => this.recent.changed(key))
    window.addEventListener('popstate', () => this.#move())
    window.addEventListener('beforeunload', (event) => this.#leaving(event))
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

  #move(): void {
    const left = this.#room
    if (sessionOf(this.#here()) === left.session.id) return
    left.view.close()
    left.session.close().catch(reportError)
    this.#room = this.#enter()
    for (const listener of [...this.#listeners]) listener()
  }

  /** Opens the session of the address; an address without one gets a new one. */
  #enter(): Room {
    const named = sessionOf(this.#here())
    const id = named ?? newSession()
    const address = addressOf(id, this.#here())
    if (named === undefined) this.#window.history.replaceState(null, '', address)
    const session = this.client.session(id, { tools: [localTime] })
    const view = new Painted(session, (callback) => this.#window.requestAnimationFrame(callback))
    const outbox = new Outbox(this.#keep, id)
    return { session, view, sender: new Sender(session, outbox), outbox, address: address.href }
  }

  /** Where the browser keeps nothing, what waits to be sent would be lost: it asks before that is thrown away. */
  #leaving(event: BeforeUnloadEvent): void {
    if (!this.#room.outbox.isKept) event.preventDefault()
  }

  #here(): URL {
    return new URL(this.#window.location.href)
  }
}

function newSession(): string {
  return makeId('ses')
}
