// Auth: the user that the page acts for, and the invitation from its link. It owns the Chat: a new user gets a new
// Chat, and a new token of the same user is passed to the existing one.
//
//   joining ──► open ◄──► (another user signs in, or the user signs out: a new Chat)
//      └──► sign-in: the invitation needs an access token first
import type { ParleyError } from '@parley/client'
import { Chat } from '../connection/chat.ts'
import { errorNote } from '../connection/error-note.ts'
import { Requests, sessionPath } from '../connection/requests.ts'
import { sessionOf } from '../sessions/session-address.ts'
import { BrowserStorage } from '../shared/browser-storage.ts'
import { Store } from '../shared/store.ts'
import { fragmentOf, withoutFragment } from './link-fragment.ts'
import { StoredToken } from './stored-token.ts'

export interface AuthState {
  readonly stage: 'joining' | 'sign-in' | 'open'
  /** Set while open. */
  readonly chat?: Chat
  /** Why the invitation could not be accepted. */
  readonly notice?: string
}

interface Invitation {
  readonly session: string
  readonly token: string
}

/** Keeps the invitation over reloads until the user has signed in. */
const INVITE_KEY = 'parley.invitation'

export class Auth extends Store<AuthState> {
  readonly token: StoredToken
  readonly #window: Window
  readonly #tabStorage: BrowserStorage
  readonly #requests: Requests

  constructor(window: Window) {
    super({ stage: 'joining' })
    this.#window = window
    this.#tabStorage = new BrowserStorage(() => window.sessionStorage)
    this.token = new StoredToken(this.#tabStorage)
    this.#requests = new Requests(window.location.origin, () => this.token.value)
    window.addEventListener('hashchange', () => {
      const { user } = this.token
      const fragment = this.#takeFragment()
      if (fragment?.invite !== undefined) this.#enter()
      else if (fragment?.token !== undefined) this.#tokenChanged(user)
    })
    this.#takeFragment()
    this.#enter()
  }

  /** Uses this access token from now on. */
  signIn(token: string): void {
    const { user } = this.token
    this.token.set(token)
    this.#tokenChanged(user)
  }

  signOut(): void {
    this.token.clear()
    this.#tabStorage.write(INVITE_KEY, undefined)
    this.#enter()
  }

  /** Removes the notice. */
  dismiss(): void {
    const { notice: _, ...rest } = this.state
    this.setState(rest)
  }

  /** @param previousUser the user of the previous token */
  #tokenChanged(previousUser: string): void {
    const { chat } = this.state
    const { status, opens } = chat?.client.state ?? { status: 'closed', opens: 0 }
    // For the same user the conversation continues, even if the previous token had expired.
    if (chat === undefined || status === 'closed' || opens === 0 || previousUser !== this.token.user) this.#enter()
    else {
      chat.client.renew()
      this.setState({ ...this.state })
    }
  }

  #enter(): void {
    const invitation = this.#invitation()
    if (invitation === undefined) this.#open()
    else void this.#join(invitation)
  }

  async #join({ session, token }: Invitation): Promise<void> {
    this.state.chat?.close()
    this.setState({ stage: 'joining' })
    try {
      await this.#requests.send('POST', `${sessionPath(session)}/members`, { token })
    } catch (error) {
      const { code } = error as ParleyError
      if (code === 'unauthenticated') {
        this.setState({ stage: 'sign-in' })
        return
      }
      // If the server was unreachable, the next load tries the invitation again.
      if (code !== 'disconnected') this.#tabStorage.write(INVITE_KEY, undefined)
      this.#open(errorNote(error))
      return
    }
    this.#tabStorage.write(INVITE_KEY, undefined)
    this.#open()
  }

  #open(notice?: string): void {
    this.state.chat?.close()
    const chat = new Chat(this.#window, this.token)
    this.setState({ stage: 'open', chat, ...(notice === undefined ? {} : { notice }) })
  }

  #takeFragment(): ReturnType<typeof fragmentOf> {
    const here = new URL(this.#window.location.href)
    const fragment = fragmentOf(here)
    if (fragment === undefined) return undefined
    this.#window.history.replaceState(this.#window.history.state, '', withoutFragment(here))
    const session = sessionOf(here)
    if (fragment.token !== undefined) this.token.set(fragment.token)
    if (fragment.invite !== undefined && session !== undefined) {
      this.#tabStorage.write(INVITE_KEY, { session, token: fragment.invite } satisfies Invitation)
    }
    return fragment
  }

  #invitation(): Invitation | undefined {
    const stored = this.#tabStorage.read(INVITE_KEY) as Partial<Invitation> | undefined
    if (typeof stored?.session !== 'string' || typeof stored.token !== 'string') return undefined
    return { session: stored.session, token: stored.token }
  }
}
