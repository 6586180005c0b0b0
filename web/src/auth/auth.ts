// Entrance: who the page speaks for, and by what invitation it comes. It owns the Chat: another person gets another one,
// and a fresh token of the same person goes to the one that is there.
//
//   joining ──► open ◄──► (signed in anew, signed out: another Chat)
//      └──► shut: a token is needed before the invitation can be used
import type { ParleyError } from '@parley/client'
import { Chat } from '../connection/chat.ts'
import { Requests, sessionPath } from '../connection/requests.ts'
import { sessionOf } from '../sessions/session-address.ts'
import { Keep } from '../shared/browser-storage.ts'
import { fragmentOf, withoutFragment } from './link-fragment.ts'
import { Pass } from './stored-token.ts'

export interface EntranceState {
  readonly stage: 'joining' | 'shut' | 'open'
  /** While open. */
  readonly chat?: Chat
  /** Why an invitation let nobody in. */
  readonly notice?: string
}

interface Invitation {
  readonly session: string
  readonly token: string
}

/** An invitation waits here while its person signs in, over reloads. */
const INVITE_KEY = 'parley.invitation'

export class Entrance {
  readonly pass: Pass
  readonly #window: Window
  readonly #tab: Keep
  readonly #requests: Requests
  readonly #listeners = new Set<() => void>()
  #state: EntranceState = { stage: 'joining' }

  constructor(window: Window) {
    this.#window = window
    this.#tab = new Keep(() => window.sessionStorage)
    this.pass = new Pass(this.#tab)
    this.#requests = new Requests(window.location.origin, () => this.pass.token)
    window.addEventListener('hashchange', () => {
      const { subject } = this.pass
      const brought = this.#takeFragment()
      if (brought?.invite !== undefined) this.#enter()
      else if (brought?.token !== undefined) this.#taken(subject)
    })
    this.#takeFragment()
    this.#enter()
  }

  get state(): EntranceState {
    return this.#state
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Speaks with this token from now on. */
  signIn(token: string): void {
    const { subject } = this.pass
    this.pass.take(token)
    this.#taken(subject)
  }

  signOut(): void {
    this.pass.drop()
    this.#tab.write(INVITE_KEY, undefined)
    this.#enter()
  }

  /** The person has read why. */
  dismiss(): void {
    const { notice: _, ...rest } = this.#state
    this.#become(rest)
  }

  /** There is a token. @param before whom the page spoke for */
  #taken(before: string): void {
    const { chat } = this.#state
    const { status, opens } = chat?.client.state ?? { status: 'closed', opens: 0 }
    // With the same person the conversation just goes on, also where their time was over.
    if (chat === undefined || status === 'closed' || opens === 0 || before !== this.pass.subject) this.#enter()
    else {
      chat.client.renew()
      this.#become({ ...this.#state })
    }
  }

  #enter(): void {
    const invitation = this.#invitation()
    if (invitation === undefined) this.#open()
    else void this.#join(invitation)
  }

  async #join({ session, token }: Invitation): Promise<void> {
    this.#leave()
    this.#become({ stage: 'joining' })
    try {
      await this.#requests.ask('POST', `${sessionPath(session)}/members`, { token })
    } catch (error) {
      const { code, message } = error as ParleyError
      if (code === 'unauthenticated') {
        this.#become({ stage: 'shut' })
        return
      }
      // Not reached: the invitation stays for the next load.
      if (code !== 'disconnected') this.#tab.write(INVITE_KEY, undefined)
      this.#open(message)
      return
    }
    this.#tab.write(INVITE_KEY, undefined)
    this.#open()
  }

  #open(notice?: string): void {
    this.#leave()
    const chat = new Chat(this.#window, this.pass)
    this.#become({ stage: 'open', chat, ...(notice === undefined ? {} : { notice }) })
  }

  #leave(): void {
    this.#state.chat?.close()
  }

  #takeFragment(): ReturnType<typeof fragmentOf> {
    const here = new URL(this.#window.location.href)
    const fragment = fragmentOf(here)
    if (fragment === undefined) return undefined
    this.#window.history.replaceState(this.#window.history.state, '', withoutFragment(here))
    const session = sessionOf(here)
    if (fragment.token !== undefined) this.pass.take(fragment.token)
    if (fragment.invite !== undefined && session !== undefined) {
      this.#tab.write(INVITE_KEY, { session, token: fragment.invite } satisfies Invitation)
    }
    return fragment
  }

  #invitation(): Invitation | undefined {
    const held = this.#tab.read(INVITE_KEY) as Partial<Invitation> | undefined
    if (typeof held?.session !== 'string' || typeof held.token !== 'string') return undefined
    return { session: held.session, token: held.token }
  }

  #become(state: EntranceState): void {
    this.#state = state
    for (const listener of [...this.#listeners]) listener()
  }
}
