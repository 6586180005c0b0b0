// MemberService: who may do what in a session, and the changes of that, each an append on subject `meta`. Two who change it
// at once are told apart by the compare; nobody is let in by what was read before somebody else's change.
import { createHash, randomBytes } from 'node:crypto'
import { type Event, LIMITS, makeId, type Permission, ReplyError, type Role } from '@parley/protocol'
import type { SessionLog } from '../../store/ports/session-log.ts'
import type { SessionReplica } from '../session-replica.ts'
import { isAllowed, isLastOwner, type Members, validInvite } from '../state/members.ts'
import { compareAndAppend } from './compare-and-append.ts'

/** Who asks. */
export interface User {
  readonly user: string
  /** How people call them. */
  readonly name?: string
}

/** What lets somebody in, once it was made: the secret is known to nobody else. */
export interface NewInvite {
  readonly invite: string
  /** `<invite>.<secret>`: whoever has it may join. */
  readonly token: string
  readonly role: string
  /** Unix milliseconds. */
  readonly until: number
}

const SECRET_BYTES = 24
const TOKEN = /^([A-Za-z0-9_-]{1,128})\.([A-Za-z0-9_-]{16,128})$/

export class MemberService {
  readonly #log: SessionLog
  readonly #now: () => number

  constructor(log: SessionLog, now: () => number) {
    this.#log = log
    this.#now = now
  }

  /**
   * @param founds who comes first to an empty session becomes its owner
   * @returns the user's role
   * @throws ReplyError forbidden, session_not_found, and what an append is refused with
   */
  async admit(session: SessionReplica, asker: User, permission: Permission, founds: boolean): Promise<string> {
    if (founds && isFree(session)) await this.#found(session, asker)
    const { members, seq } = session.state
    if (isAllowed(members, asker.user, permission)) return members.all.get(asker.user)?.role ?? ''
    if (members.all.has(asker.user)) throw new ReplyError('forbidden')
    throw seq === 0
      ? new ReplyError('session_not_found')
      : new ReplyError('forbidden', 'You are no member of this session.')
  }

  /** @throws ReplyError forbidden, too_many_members */
  async invite(session: SessionReplica, by: User, role: Role, ttlMs: number): Promise<NewInvite> {
    const invite = makeId('inv')
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    const until = this.#now() + ttlMs
    const event: Event = { type: 'invite.created', invite, role, hash: hashOf(secret), until, by: by.user }
    await this.#change(session, by, 'manage', ({ invites }) => {
      if (invites.has(invite)) return undefined
      const live = [...invites.values()].filter((other) => other.until > this.#now())
      if (live.length >= LIMITS.invites) throw new ReplyError('too_many_members', 'There are too many invitations.')
      return event
    })
    return { invite, token: `${invite}.${secret}`, role, until }
  }

  /** Idempotent. @throws ReplyError forbidden */
  async revoke(session: SessionReplica, by: User, invite: string): Promise<void> {
    await this.#change(session, by, 'manage', ({ invites }) =>
      invites.has(invite) ? { type: 'invite.revoked', invite, by: by.user } : undefined,
    )
  }

  /**
   * Lets somebody in who has an invitation. A member stays what they are.
   * @returns the role @throws ReplyError invite_invalid, too_many_members
   */
  async join(session: SessionReplica, who: User, token: string): Promise<string> {
    const [, invite = '', secret = ''] = TOKEN.exec(token) ?? []
    const hash = hashOf(secret)
    await compareAndAppend(this.#log, session, ({ members, metaLast }) => {
      if (members.all.has(who.user)) return undefined
      const found = validInvite(members, invite, hash, who.user, this.#now())
      if (found === undefined) throw new ReplyError('invite_invalid')
      if (members.all.size >= LIMITS.members) throw new ReplyError('too_many_members')
      const event: Event = { type: 'member.joined', ...joining(who), role: found.role, invite }
      return { subject: 'meta', event, expect: metaLast }
    })
    return session.state.members.all.get(who.user)?.role ?? ''
  }

  /** @throws ReplyError forbidden, member_not_found, last_owner */
  async give(session: SessionReplica, by: User, user: string, role: Role): Promise<void> {
    await this.#change(session, by, 'manage', (members) => {
      const member = members.all.get(user)
      if (member === undefined) throw new ReplyError('member_not_found')
      if (member.role === role) return undefined
      if (isLastOwner(members, user)) throw new ReplyError('last_owner')
      const name = member.name === undefined ? {} : { name: member.name }
      return { type: 'member.joined', user, ...name, role, by: by.user }
    })
  }

  /** Members may go by themselves. Idempotent. @throws ReplyError forbidden, last_owner */
  async remove(session: SessionReplica, by: User, user: string): Promise<void> {
    await this.#change(session, by, by.user === user ? 'read' : 'manage', (members) => {
      if (!members.all.has(user)) return undefined
      if (isLastOwner(members, user)) throw new ReplyError('last_owner')
      return { type: 'member.left', user, by: by.user }
    })
  }

  async #found(session: SessionReplica, founder: User): Promise<void> {
    await compareAndAppend(this.#log, session, ({ metaLast }) =>
      isFree(session)
        ? { subject: 'meta', event: { type: 'member.joined', ...joining(founder), role: 'owner' }, expect: metaLast }
        : undefined,
    )
  }

  /** Looks at the permission again at each try: it may have been taken away meanwhile. */
  async #change(
    session: SessionReplica,
    by: User,
    permission: Permission,
    decide: (members: Members) => Event | undefined,
  ): Promise<void> {
    await compareAndAppend(this.#log, session, ({ members, metaLast }) => {
      if (!isAllowed(members, by.user, permission)) throw new ReplyError('forbidden')
      const event = decide(members)
      return event === undefined ? undefined : { subject: 'meta', event, expect: metaLast }
    })
  }
}

/** Nobody was ever here. What was said without tokens belongs to nobody who comes with one. */
function isFree(session: SessionReplica): boolean {
  return session.state.seq === 0
}

function joining({ user, name }: User): User {
  return { user, ...(name === undefined ? {} : { name }) }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}
