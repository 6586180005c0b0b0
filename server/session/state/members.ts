// Members: who is in a session and as what, and whom its invitations let in. Pure: folded from entries on subject `meta`.
// A session that nobody has joined has no members; who comes first to one that is empty founds it, as its owner.
import { timingSafeEqual } from 'node:crypto'
import { type Event, type EventOf, may, type Permission } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import type { MembersRecord } from '../../store/ports/transcript-store.ts'

export interface Member {
  readonly role: string
  /** How people call them. */
  readonly name?: string
}

export interface Invite {
  readonly role: string
  /** Of its secret: SHA-256, base64url. */
  readonly hash: string
  /** Unix milliseconds. */
  readonly until: number
  readonly seq: Seq
}

export interface Members {
  /** By user. */
  readonly all: ReadonlyMap<string, Member>
  /** Who was here and is not any more, and since when: no invitation from before lets them in again. */
  readonly gone: ReadonlyMap<string, Seq>
  readonly invites: ReadonlyMap<string, Invite>
}

export type MemberEvent = EventOf<'member.joined' | 'member.left' | 'invite.created' | 'invite.revoked'>

export const NO_MEMBERS: Members = { all: new Map(), gone: new Map(), invites: new Map() }

/**
 * Users that are remembered as gone; beyond, the one who went first is forgotten, and with them every invitation that they
 * might have had: it would let them in again.
 */
const GONE_KEPT = 1_000

export function isMemberEvent(event: Event): event is MemberEvent {
  const { type } = event
  return type === 'member.joined' || type === 'member.left' || type === 'invite.created' || type === 'invite.revoked'
}

export function foldMembers(members: Members, seq: Seq, event: MemberEvent): Members {
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
        if (gone.size <= GONE_KEPT) break
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

export function isAllowed(members: Members, user: string, permission: Permission): boolean {
  const member = members.all.get(user)
  return member !== undefined && may(member.role, permission)
}

/** Whether somebody is the only one who may manage the session. */
export function isLastOwner(members: Members, user: string): boolean {
  if (!isAllowed(members, user, 'manage')) return false
  return [...members.all].every(([other, { role }]) => other === user || !may(role, 'manage'))
}

/**
 * The invitation that lets a user in; undefined when it is unknown, over or taken back, or from before the user was removed.
 * @param hash of the secret that the user has
 */
export function validInvite(members: Members, id: string, hash: string, user: string, now: number): Invite | undefined {
  const invite = members.invites.get(id)
  if (invite === undefined || invite.until <= now || !isSame(invite.hash, hash)) return undefined
  return (members.gone.get(user) ?? 0) > invite.seq ? undefined : invite
}

/** As a transcript keeps them. @returns undefined when there is nothing to keep */
export function membersRecord(members: Members): MembersRecord | undefined {
  if (members === NO_MEMBERS) return undefined
  return { all: [...members.all], gone: [...members.gone], invites: [...members.invites] }
}

export function membersOf(record: MembersRecord): Members {
  return { all: new Map(record.all), gone: new Map(record.gone), invites: new Map(record.invites) }
}

function without<V>(map: ReadonlyMap<string, V>, key: string): Map<string, V> {
  const left = new Map(map)
  left.delete(key)
  return left
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
