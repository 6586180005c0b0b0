// People: a session's members and pending invitations. It reads them again after each log entry that changes them, with
// one request at a time (single-flight). Without authentication there are none.
import type { Event, Session } from '@parley/client'
import { errorNote } from '../connection/error-note.ts'
import { type Requests, sessionPath } from '../connection/requests.ts'
import { Store } from '../shared/store.ts'

export interface Person {
  readonly role: string
  readonly name?: string
}

export interface PendingInvite {
  readonly invite: string
  readonly role: string
  /** Unix milliseconds. */
  readonly until: number
}

export interface PeopleState {
  /** By user. */
  readonly members: ReadonlyMap<string, Person>
  readonly invites: readonly PendingInvite[]
  /** Why the last request failed. */
  readonly error?: string
}

/** The part of a session that People uses. */
export type PeopleSession = Pick<Session, 'id' | 'state' | 'subscribe' | 'watch'>

const MEMBER_EVENTS: ReadonlySet<Event['type']> = new Set([
  'member.joined',
  'member.left',
  'invite.created',
  'invite.revoked',
] as const)

export class People extends Store<PeopleState> {
  readonly #session: PeopleSession
  readonly #requests: Requests
  readonly #unsubscribe: readonly (() => void)[]
  /** Whether the log has changed since the last request. */
  #stale = true
  #requesting = false
  #closed = false

  constructor(session: PeopleSession, requests: Requests) {
    super({ members: new Map(), invites: [] })
    this.#session = session
    this.#requests = requests
    const markStale = (): void => {
      this.#stale = true
    }
    this.#unsubscribe = [
      session.watch({
        entry: ({ event }) => {
          if (MEMBER_EVENTS.has(event.type)) markStale()
        },
        reset: markStale,
        ended: () => undefined,
      }),
      session.subscribe(() => void this.#refresh()),
    ]
    void this.#refresh()
  }

  /** @param ttl seconds @returns the invitation's token, which the server reveals only once @throws ParleyError */
  async invite(role: string, ttl: number): Promise<string> {
    const answer = await this.#requests.send('POST', `${this.#path}/invites`, { role, ttl })
    return String((answer as { token?: unknown } | undefined)?.token ?? '')
  }

  /** @throws ParleyError */
  async revoke(invite: string): Promise<void> {
    await this.#requests.send('DELETE', `${this.#path}/invites/${encodeURIComponent(invite)}`)
  }

  /** @throws ParleyError */
  async setRole(user: string, role: string): Promise<void> {
    await this.#requests.send('PUT', `${this.#path}/members/${encodeURIComponent(user)}`, { role })
  }

  /** A user may remove themselves. @throws ParleyError */
  async remove(user: string): Promise<void> {
    await this.#requests.send('DELETE', `${this.#path}/members/${encodeURIComponent(user)}`)
  }

  close(): void {
    this.#closed = true
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
  }

  get #path(): string {
    return sessionPath(this.#session.id)
  }

  async #refresh(): Promise<void> {
    while (this.#stale && !this.#requesting && !this.#closed && this.#session.state.status === 'live') {
      this.#stale = false
      this.#requesting = true
      try {
        this.#set(read(await this.#requests.send('GET', `${this.#path}/members`)))
      } catch (error) {
        // The last members stay; the next change or connection asks again.
        this.#set({ ...this.state, error: errorNote(error) })
      } finally {
        this.#requesting = false
      }
    }
  }

  #set(state: PeopleState): void {
    if (!this.#closed) this.setState(state)
  }
}

/** Ignores malformed items. */
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

function isInvite(value: unknown): value is PendingInvite {
  const { invite, role, until } = (value ?? {}) as Readonly<Record<string, unknown>>
  return typeof invite === 'string' && typeof role === 'string' && typeof until === 'number'
}
