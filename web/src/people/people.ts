// People: the members of a session and its open invitations, as its log has them. Read again when an entry tells that they
// changed: one request at a time, however many entries come. Where nobody needs a token there are none.
import type { Event, ParleyError, Session } from '@parley/client'
import { type Requests, sessionPath } from '../connection/requests.ts'

export interface Person {
  readonly role: string
  readonly name?: string
}

export interface OpenInvite {
  readonly invite: string
  readonly role: string
  /** Unix milliseconds. */
  readonly until: number
}

export interface PeopleState {
  /** By user. */
  readonly members: ReadonlyMap<string, Person>
  readonly invites: readonly OpenInvite[]
  /** Why they could not be read the last time. */
  readonly error?: string
}

/** What people need of a session. */
export type PeopledSession = Pick<Session, 'id' | 'state' | 'subscribe' | 'watch'>

const NOBODY: PeopleState = { members: new Map(), invites: [] }
const TELLING: ReadonlySet<Event['type']> = new Set([
  'member.joined',
  'member.left',
  'invite.created',
  'invite.revoked',
] as const)

export class People {
  readonly #session: PeopledSession
  readonly #requests: Requests
  readonly #listeners = new Set<() => void>()
  readonly #stops: readonly (() => void)[]
  #state: PeopleState = NOBODY
  /** What is held is not what the log has, as far as that is known. */
  #stale = true
  #asking = false
  #closed = false

  constructor(session: PeopledSession, requests: Requests) {
    this.#session = session
    this.#requests = requests
    const stale = (): void => {
      this.#stale = true
    }
    this.#stops = [
      session.watch({
        entry: ({ event }) => {
          if (TELLING.has(event.type)) stale()
        },
        reset: stale,
        ended: () => undefined,
      }),
      session.subscribe(() => void this.#look()),
    ]
    void this.#look()
  }

  get state(): PeopleState {
    return this.#state
  }

  /** Bound, so that React can be given it as it is. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** @param ttl seconds @returns what lets somebody in: it is told only once @throws ParleyError */
  async invite(role: string, ttl: number): Promise<string> {
    const answer = await this.#requests.ask('POST', `${this.#path}/invites`, { role, ttl })
    return String((answer as { token?: unknown } | undefined)?.token ?? '')
  }

  /** @throws ParleyError */
  async revoke(invite: string): Promise<void> {
    await this.#requests.ask('DELETE', `${this.#path}/invites/${encodeURIComponent(invite)}`)
  }

  /** @throws ParleyError */
  async give(user: string, role: string): Promise<void> {
    await this.#requests.ask('PUT', `${this.#path}/members/${encodeURIComponent(user)}`, { role })
  }

  /** One may remove oneself. @throws ParleyError */
  async remove(user: string): Promise<void> {
    await this.#requests.ask('DELETE', `${this.#path}/members/${encodeURIComponent(user)}`)
  }

  close(): void {
    this.#closed = true
    for (const stop of this.#stops) stop()
  }

  get #path(): string {
    return sessionPath(this.#session.id)
  }

  async #look(): Promise<void> {
    while (this.#stale && !this.#asking && !this.#closed && this.#session.state.status === 'live') {
      this.#stale = false
      this.#asking = true
      try {
        const answer = await this.#requests.ask('GET', `${this.#path}/members`)
        this.#become(read(answer))
      } catch (error) {
        // What is held stays; the next change, or the next connection, asks again.
        this.#become({ ...this.#state, error: (error as ParleyError).message })
      } finally {
        this.#asking = false
      }
    }
  }

  #become(state: PeopleState): void {
    if (this.#closed) return
    this.#state = state
    for (const listener of [...this.#listeners]) listener()
  }
}

/** What is not as it should be is left out. */
function read(answer: unknown): PeopleState {
  const { members, invites } = (answer ?? {}) as { members?: unknown; invites?: unknown }
  return {
    members: new Map(listOf(members).flatMap((each) => (isMember(each) ? [[each.user, each] as const] : []))),
    invites: listOf(invites).filter(isInvite),
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function isMember(value: unknown): value is Person & { readonly user: string } {
  const { user, role, name } = (value ?? {}) as Readonly<Record<string, unknown>>
  return typeof user === 'string' && typeof role === 'string' && (name === undefined || typeof name === 'string')
}

function isInvite(value: unknown): value is OpenInvite {
  const { invite, role, until } = (value ?? {}) as Readonly<Record<string, unknown>>
  return typeof invite === 'string' && typeof role === 'string' && typeof until === 'number'
}
