// Members: the members of a session, their roles, and its invitations. Pure; derived from the entries on subject
// `meta`. A session that nobody has joined has no members. The first user of an empty session becomes its owner.
import { timingSafeEqual } from 'node:crypto'
import { type Event, type EventOf, may, type Permission } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import type { MembersRecord } from '../../store/ports/transcript-store.ts'

export interface Member {
  readonly role: string
  /** The display name. */
  readonly name?: string
}

export interface Invite {
  readonly role: string
  /** SHA-256 of the secret, as base64url. */
  readonly hash: string
  /** Unix milliseconds at which it expires. */
  readonly until: number
  readonly seq: Seq
}

export interface Members {
  /** By user. */
  readonly all: ReadonlyMap<string, Member>
  /** Former members, with the entry by which they left. Older invitations do not admit them again. */
  readonly gone: ReadonlyMap<string, Seq>
  readonly invites: ReadonlyMap<string, Invite>
}

export type MemberEvent = EventOf<'member.joined' | 'member.left' | 'invite.created' | 'invite.revoked'>

export const NO_MEMBERS: Members = { all: new Map(), gone: new Map(), invites: new Map() }

/**
 * The number of former members that are kept. If there are more, the one who left first is dropped, together with every
 * older invitation, because it would admit them again.
 */
const MAX_GONE = 1_000

export function isMemberEvent(event: Event): event is MemberEvent {
  const { type } = event
  return type === 'member.joined' || type === 'member.left' || type === 'invite.created' || type === 'invite.revoked'
}

export function applyToMembers(members: Members, seq: Seq, event: MemberEvent): Members {
  switch (event.type) {
    case 'member.joined': {
      const { user, role, name } = event
      const all = new Map(members.all).set(user, { role, ...(name === undefined ? {} : { name }) })
      return { ...members, all }
    }
    case 'member.left': {
      const all = without(members.all, event.user)
      const gone = without(members.gone, event.user).set(event.user, seq)
      let { invites } = members
      for (const [first, since] of gone) {
        if (gone.size <= MAX_GONE) break
        gone.delete(first)
        invites = new Map([...invites].filter(([, invite]) => invite.seq > since))
      }
      return { ...members, all, gone, invites }
    }
    case 'invite.created': {
      const { invite, role, hash, until } = event
      return { ...members, invites: new Map(members.invites).set(invite, { role, hash, until, seq }) }
    }
    case 'invite.revoked':
      return { ...members, invites: without(members.invites, event.invite) }
  }
}

/** @param by the user, and the most that their access token allows */
export function isAllowed(
  members: Members,
  by: { readonly user: string; readonly role: string },
  permission: Permission,
): boolean {
  const member = members.all.get(by.user)
  return member !== undefined && may(member.role, permission) && may(by.role, permission)
}

/** Whether the session has members, and the user does not belong to them. */
export function isOutsider({ all }: Members, user: string): boolean {
  return all.size > 0 && !all.has(user)
}

/** Whether the user may manage the session, and no other member may. */
export function isLastOwner(members: Members, user: string): boolean {
  if (!may(members.all.get(user)?.role ?? '', 'manage')) return false
  return [...members.all].every(([other, { role }]) => other === user || !may(role, 'manage'))
}

/**
 * @param hash of the user's secret
 * @returns the invitation; undefined if it is unknown, expired, revoked, or older than the user's removal
 */
export function validInvite(members: Members, id: string, hash: string, user: string, now: number): Invite | undefined {
  const invite = members.invites.get(id)
  if (invite === undefined || invite.until <= now || !isSame(invite.hash, hash)) return undefined
  return (members.gone.get(user) ?? 0) > invite.seq ? undefined : invite
}

/** The stored form in a transcript. @returns undefined if nothing needs to be stored */
export function membersRecord(members: Members): MembersRecord | undefined {
  if (members === NO_MEMBERS) return undefined
  return { all: [...members.all], gone: [...members.gone], invites: [...members.invites] }
}

export function membersOf(record: MembersRecord): Members {
  return { all: new Map(record.all), gone: new Map(record.gone), invites: new Map(record.invites) }
}

function without<V>(map: ReadonlyMap<string, V>, key: string): Map<string, V> {
  const rest = new Map(map)
  rest.delete(key)
  return rest
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
