// MemberService: checks permissions in a session, and changes members and invitations by appends on subject `meta`. The
// appends are conditional, so a concurrent change is never decided by an outdated state.
import { createHash, randomBytes } from 'node:crypto'
import { commonRole, type Event, LIMITS, makeId, may, type Permission, ReplyError, type Role } from '@parley/protocol'
import { META, type SessionLog } from '../../store/ports/session-log.ts'
import { catchUpTo } from '../catch-up.ts'
import type { SessionReplica } from '../session-replica.ts'
import { isAllowed, isLastOwner, type Members, validInvite } from '../state/members.ts'
import { compareAndAppend, compareAndAppendAtTip } from './compare-and-append.ts'

export interface User {
  readonly user: string
  /** The display name. */
  readonly name?: string
  /** The most that the access token allows. */
  readonly role: string
}

/** A created invitation. The server keeps only a hash of its secret. */
export interface NewInvite {
  readonly invite: string
  /** `<invite>.<secret>`: any user with it may join. */
  readonly token: string
  readonly role: string
  /** Unix milliseconds at which it expires. */
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
   * @param creates whether the first user of an empty session becomes its owner
   * @returns the user's role, or less if the access token allows less
   * @throws ReplyError forbidden, session_not_found, and the errors of `compareAndAppend`
   */
  async admit(session: SessionReplica, by: User, permission: Permission, creates: boolean): Promise<string> {
    if (creates && isEmpty(session) && may(by.role, 'send')) await this.#create(session, by)
    const { members, seq } = session.state
    if (isAllowed(members, by, permission)) return commonRole(members.all.get(by.user)?.role ?? '', by.role)
    assertToken(by, permission)
    if (members.all.has(by.user)) throw new ReplyError('forbidden')
    throw seq === 0
      ? new ReplyError('session_not_found')
      : new ReplyError('forbidden', 'You are not a member of this session.')
  }

  /**
   * Checks an admitted user again, with every change of the members that any node has acknowledged before this call.
   * Costs a round trip to the log's leader.
   * @throws ReplyError forbidden, unavailable; StorageError
   */
  async confirm(session: SessionReplica, by: User, permission: Permission): Promise<void> {
    const last = await this.#log.last(session.id, META)
    if (last > session.state.seq) await catchUpTo(session, last)
    if (!isAllowed(session.state.members, by, permission)) throw new ReplyError('forbidden')
  }

  /** @throws ReplyError forbidden, too_many_members */
  async invite(session: SessionReplica, by: User, role: Role, ttlMs: number): Promise<NewInvite> {
    const invite = makeId('inv')
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    const until = this.#now() + ttlMs
    const event: Event = { type: 'invite.created', invite, role, hash: hashOf(secret), until, by: by.user }
    await this.#change(session, by, 'manage', ({ invites }) => {
      if (invites.has(invite)) return undefined
      const valid = [...invites.values()].filter((other) => other.until > this.#now())
      if (valid.length >= LIMITS.invites)
        throw new ReplyError('too_many_members', 'This session has too many open invitations.')
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
   * Accepts an invitation. A member keeps the current role.
   * @returns as `admit` @throws ReplyError invite_invalid, too_many_members
   */
  async join(session: SessionReplica, by: User, token: string): Promise<string> {
    assertToken(by, 'send')
    const [, invite = '', secret = ''] = TOKEN.exec(token) ?? []
    const hash = hashOf(secret)
    await compareAndAppendAtTip(this.#log, session, ({ members, lastMetaSeq }) => {
      if (members.all.has(by.user)) return undefined
      const found = validInvite(members, invite, hash, by.user, this.#now())
      if (found === undefined) throw new ReplyError('invite_invalid')
      if (members.all.size >= LIMITS.members) throw new ReplyError('too_many_members')
      const event: Event = { type: 'member.joined', ...joining(by), role: found.role, invite }
      return { subject: 'meta', event, expect: lastMetaSeq }
    })
    return commonRole(session.state.members.all.get(by.user)?.role ?? '', by.role)
  }

  /** @throws ReplyError forbidden, member_not_found, last_owner */
  async giveRole(session: SessionReplica, by: User, user: string, role: Role): Promise<void> {
    await this.#change(session, by, 'manage', (members) => {
      const member = members.all.get(user)
      if (member === undefined) throw new ReplyError('member_not_found')
      if (member.role === role) return undefined
      if (isLastOwner(members, user)) throw new ReplyError('last_owner')
      const name = member.name === undefined ? {} : { name: member.name }
      return { type: 'member.joined', user, ...name, role, by: by.user }
    })
  }

  /** Members may remove themselves. Idempotent. @throws ReplyError forbidden, last_owner */
  async remove(session: SessionReplica, by: User, user: string): Promise<void> {
    if (by.user === user) assertToken(by, 'send')
    await this.#change(session, by, by.user === user ? 'read' : 'manage', (members) => {
      if (!members.all.has(user)) return undefined
      if (isLastOwner(members, user)) throw new ReplyError('last_owner')
      return { type: 'member.left', user, by: by.user }
    })
  }

  async #create(session: SessionReplica, owner: User): Promise<void> {
    await compareAndAppend(this.#log, session, ({ lastMetaSeq }) =>
      isEmpty(session)
        ? { subject: 'meta', event: { type: 'member.joined', ...joining(owner), role: 'owner' }, expect: lastMetaSeq }
        : undefined,
    )
  }

  /** Checks the permission again at each attempt, because it may be revoked meanwhile. */
  async #change(
    session: SessionReplica,
    by: User,
    permission: Permission,
    decide: (members: Members) => Event | undefined,
  ): Promise<void> {
    await compareAndAppendAtTip(this.#log, session, ({ members, lastMetaSeq }) => {
      assertToken(by, permission)
      if (!isAllowed(members, by, permission)) throw new ReplyError('forbidden')
      const event = decide(members)
      return event === undefined ? undefined : { subject: 'meta', event, expect: lastMetaSeq }
    })
  }
}

/**
 * Whether the log is empty. A session that was used without authentication is not empty, so no user can take it over.
 */
function isEmpty(session: SessionReplica): boolean {
  return session.state.seq === 0
}

/** A token for reading changes no membership, not even its user's own. */
function assertToken({ role }: User, permission: Permission): void {
  if (!may(role, permission)) throw new ReplyError('forbidden', 'Your access token does not allow this.')
}

function joining({ user, name }: User): Pick<User, 'user' | 'name'> {
  return { user, ...(name === undefined ? {} : { name }) }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}
