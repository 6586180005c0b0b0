// Chat: the page's one client, and the session that its address names. A store outside of React, so that no
// component's life decides when a session is opened or left.
import { type ConnectionState, ParleyClient, type Session, type SessionView } from '@parley/client'
import { makeId } from '@parley/protocol/make-id'
import { addressOf, sessionOf } from './address.ts'
import { localTime } from './local-time.ts'
import { Painted } from './painted.ts'

/** A session that the page shows. */
export interface Room {
  readonly session: Session
  readonly view: Painted<SessionView>
  readonly address: string
}

export class Chat {
  readonly client: ParleyClient
  readonly connection: Painted<ConnectionState>
  readonly #window: Window
  readonly #listeners = new Set<() => void>()
  #room: Room

  constructor(window: Window) {
    this.#window = window
    this.client = new ParleyClient({ url: window.location.origin })
    this.connection = new Painted(this.client, (callback) => window.requestAnimationFrame(callback))
    this.#room = this.#enter()
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
    const address = addressOf(newSession(), this.#here())
    this.#window.history.pushState(null, '', address)
    this.#move()
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
    return { session, view, address: address.href }
  }

  /** What waits to be sent is held by this page only: the browser asks before it is thrown away. */
  #leaving(event: BeforeUnloadEvent): void {
    if (this.#room.session.state.pending.length > 0) event.preventDefault()
  }

  #here(): URL {
    return new URL(this.#window.location.href)
  }
}

function newSession(): string {
  return makeId('ses')
}
