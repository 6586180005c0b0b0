// Chat: one user's client on this page, and the session in the page's address. It lives outside of React, so that no
// component's lifetime opens or closes a session. Another user gets another Chat.
import { type ClientTool, ParleyClient, type ParleyError, type Session } from '@parley/client'
import { makeId } from '@parley/protocol/make-id'
import type { StoredToken } from '../auth/stored-token.ts'
import { Allowance } from '../budget/allowance.ts'
import { ChoiceStore } from '../composer/choices.ts'
import { Draft, Drafts } from '../composer/drafts.ts'
import { localTime } from '../composer/local-time.ts'
import { Sender } from '../composer/sender.ts'
import { sessionsWithUnsent, UnsentMessages } from '../composer/unsent-messages.ts'
import { People } from '../people/people.ts'
import { deviceOf, Presence } from '../people/presence.ts'
import { RecentSessions } from '../sessions/recent-sessions.ts'
import { addressOf, sessionOf } from '../sessions/session-address.ts'
import { SessionListStore } from '../sessions/session-list-store.ts'
import { BrowserStorage } from '../shared/browser-storage.ts'
import { Requests } from './requests.ts'

/** The open session, with everything that the page holds for it. */
export interface Room {
  /** Unique: opening the same session again gives another key. */
  readonly key: string
  readonly session: Session
  readonly sender: Sender
  readonly draft: Draft
  readonly unsent: UnsentMessages
  readonly choice: ChoiceStore
  readonly people: People
  readonly presence: Presence
  readonly allowance: Allowance
  readonly address: string
  /** The user's role before access was lost. */
  readonly formerRole?: string
  close(): void
}

export class Chat {
  /** Unique for each user that signs in. */
  readonly key = makeId('chat')
  readonly client: ParleyClient
  readonly recent: RecentSessions
  readonly sessionList: SessionListStore
  readonly drafts: Drafts
  readonly #storage: BrowserStorage
  readonly #requests: Requests
  readonly #window: Window
  readonly #closed = new AbortController()
  readonly #listeners = new Set<() => void>()
  #room: Room

  constructor(window: Window, token: StoredToken) {
    const { origin } = window.location
    this.#window = window
    this.#storage = new BrowserStorage(() => window.localStorage, token.user)
    this.#requests = new Requests(origin, () => token.value)
    this.recent = new RecentSessions(this.#storage)
    this.drafts = new Drafts(this.#storage)
    this.client = new ParleyClient({
      url: origin,
      // A function, because a later connection may use a new token.
      ...(token.value === undefined ? {} : { token: () => token.value ?? '' }),
      // Unsent messages and the position in the log survive a new sign-in.
      whenTurnedAway: 'wait',
    })
    this.sessionList = new SessionListStore(this.client, this.#requests)
    this.#room = this.#openRoom()
    this.drafts.trim(new Set([this.#room.session.id, ...this.recent.state.map(({ id }) => id)]))
    const { signal } = this.#closed
    window.addEventListener('storage', ({ key }) => this.recent.changed(key), { signal })
    window.addEventListener('popstate', () => this.#addressChanged(), { signal })
    window.addEventListener('beforeunload', (event) => this.#beforeUnload(event), { signal })
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

  /** Opens a new session. The browser's back button returns to the previous one. */
  startNew(): void {
    this.open(newSession())
  }

  /** Opens a session, as a link to it would. */
  open(session: string): void {
    this.#window.history.pushState(null, '', this.addressOf(session))
    this.#addressChanged()
  }

  addressOf(session: string): URL {
    return addressOf(session, this.#here())
  }

  sessionsWithUnsent(): ReadonlySet<string> {
    return sessionsWithUnsent(this.#storage)
  }

  /** Closes the connection and the session, when the user changes. */
  close(): void {
    this.#closed.abort()
    this.#room.close()
    this.sessionList.close()
    this.client.close().catch(reportError)
  }

  #addressChanged(): void {
    if (sessionOf(this.#here()) !== this.#room.session.id) this.#replaceRoom()
  }

  #replaceRoom(options?: RoomOptions): void {
    this.#room.close()
    this.#room = this.#openRoom(options)
    for (const listener of [...this.#listeners]) listener()
  }

  /** Opens the session in the address. An address without a session gets a new one. */
  #openRoom({ tools = [localTime], formerRole }: RoomOptions = {}): Room {
    const named = sessionOf(this.#here())
    const id = named ?? newSession()
    const address = addressOf(id, this.#here())
    if (named === undefined) this.#window.history.replaceState(null, '', address)
    const session = this.client.session(id, { tools })
    const unsent = new UnsentMessages(this.#storage, id)
    const choice = new ChoiceStore(this.#storage, id)
    const allowance = new Allowance({ session, me: (session) => this.client.me(session), now: this.client.now })
    const onRefused = ({ code }: ParleyError): void => {
      if (code === 'budget_exceeded' || code === 'too_many_runs') allowance.refresh()
    }
    const sender = new Sender(session, unsent, onRefused, this.client.now)
    const room: Room = {
      key: makeId('room'),
      session,
      sender,
      draft: new Draft(this.drafts, id),
      unsent,
      choice,
      people: new People(session, this.#requests),
      presence: new Presence(session, deviceOf(this.#window)),
      allowance,
      address: address.href,
      ...(formerRole === undefined ? {} : { formerRole }),
      close() {
        room.presence.close()
        room.people.close()
        allowance.close()
        session.close().catch(reportError)
      },
    }
    session.watch({
      entry: ({ event }, { status, runs }) => {
        if (event.type !== 'run.handed' || status !== 'live') return
        if (runs.get(event.run)?.parent === undefined) choice.handedOver(event.from)
      },
      reset: () => undefined,
      ended: () => undefined,
    })
    session.subscribe(() => {
      const { error, role } = session.state
      if (this.#room !== room || error?.code !== 'forbidden' || tools.length === 0) return
      // A viewer may not offer tools, so try again without them. If even reading is forbidden, NoAccess replaces the
      // conversation.
      this.#replaceRoom({ tools: [], ...(role === undefined ? {} : { formerRole: role }) })
    })
    return room
  }

  /** Asks before the page closes if the browser could not store an unsent message. */
  #beforeUnload(event: BeforeUnloadEvent): void {
    if (!this.#room.unsent.isStored) event.preventDefault()
  }

  #here(): URL {
    return new URL(this.#window.location.href)
  }
}

interface RoomOptions {
  readonly tools?: readonly ClientTool[]
  readonly formerRole?: string
}

function newSession(): string {
  return makeId('ses')
}
