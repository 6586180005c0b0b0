// Members: roles, removals, and the users that an invitation admits.
import { createHash } from 'node:crypto'
import { commonRole, may, ROLES } from '@parley/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  applyToMembers,
  isAllowed,
  isLastOwner,
  type MemberEvent,
  type Members,
  membersOf,
  membersRecord,
  NO_MEMBERS,
  validInvite,
} from './members.ts'

const hash = createHash('sha256').update('secret').digest('base64url')

function membersAfter(...events: readonly MemberEvent[]): Members {
  return events.reduce((members, event, at) => applyToMembers(members, at + 1, event), NO_MEMBERS)
}

const joined = (user: string, role = 'viewer'): MemberEvent => ({ type: 'member.joined', user, role })
const left = (user: string): MemberEvent => ({ type: 'member.left', user })
const invited = (invite: string, until = 1_000): MemberEvent => ({
  type: 'invite.created',
  invite,
  role: 'editor',
  hash,
  until,
  by: 'ann',
})

test.each([
  ['owner', ['read', 'send', 'run', 'decide', 'manage']],
  ['editor', ['read', 'send', 'run']],
  ['approver', ['read', 'decide']],
  ['viewer', ['read']],
  ['something else', []],
])('%s has exactly the permissions of the role', (role, allowed) => {
  const members = membersAfter(joined('ann', role))
  const all = ['read', 'send', 'run', 'decide', 'manage'] as const
  const allowedTo = (user: string, limit: string) =>
    all.filter((permission) => isAllowed(members, { user, role: limit }, permission))
  expect(allowedTo('ann', 'owner')).toEqual(allowed)
  expect(allowedTo('bob', 'owner')).toEqual([])
  for (const limit of [...ROLES, 'something else']) {
    const both = all.filter((permission) => may(role, permission) && may(limit, permission))
    expect(allowedTo('ann', limit)).toEqual(both)
    const common = commonRole(role, limit)
    if (both.length > 0) expect(all.filter((permission) => may(common, permission))).toEqual(both)
  }
})

test('joining again changes the role, and leaving removes it', () => {
  const members = membersAfter(joined('ann', 'owner'), joined('bob'), joined('bob', 'editor'), left('ann'))
  expect([...members.all]).toEqual([['bob', { role: 'editor' }]])
})

test('the last owner is the only owner, whatever other members exist', () => {
  const one = membersAfter(joined('ann', 'owner'), joined('bob', 'editor'))
  expect([isLastOwner(one, 'ann'), isLastOwner(one, 'bob')]).toEqual([true, false])
  expect(isLastOwner(applyToMembers(one, 9, joined('bob', 'owner')), 'ann')).toBe(false)
})

test('an invitation admits anyone with its secret until it expires or is revoked', () => {
  const members = membersAfter(invited('i1'))
  expect(validInvite(members, 'i1', hash, 'bob', 999)?.role).toBe('editor')
  expect(validInvite(members, 'i1', hash, 'bob', 1_000)).toBeUndefined()
  expect(validInvite(members, 'i1', `${hash}x`, 'bob', 0)).toBeUndefined()
  expect(validInvite(members, 'i2', hash, 'bob', 0)).toBeUndefined()
  const revoked = applyToMembers(members, 2, { type: 'invite.revoked', invite: 'i1', by: 'ann' })
  expect(validInvite(revoked, 'i1', hash, 'bob', 0)).toBeUndefined()
})

test('an invitation does not admit a member who was removed after it was created', () => {
  const members = membersAfter(invited('old'), joined('bob'), left('bob'), invited('new'))
  expect(validInvite(members, 'old', hash, 'bob', 0)).toBeUndefined()
  expect(validInvite(members, 'old', hash, 'cyd', 0)).toBeDefined()
  expect(validInvite(members, 'new', hash, 'bob', 0)).toBeDefined()
})

test('a transcript stores them unchanged', () => {
  const user = fc.constantFrom('a', 'b', 'c')
  const event = fc.oneof(
    user.map((name) => joined(name)),
    user.map((name) => left(name)),
    user.map((name) => invited(name)),
    user.map((invite): MemberEvent => ({ type: 'invite.revoked', invite, by: 'a' })),
  )
  fc.assert(
    fc.property(fc.array(event), (events) => {
      const members = membersAfter(...events)
      const record = membersRecord(members)
      expect(record === undefined ? NO_MEMBERS : membersOf(JSON.parse(JSON.stringify(record)))).toEqual(members)
    }),
  )
})

test('the number of former members is limited', () => {
  const many = Array.from({ length: 1_500 }, (_, at) => [joined(`u${at}`), left(`u${at}`)]).flat()
  const { gone } = membersAfter(...many)
  expect(gone.size).toBe(1_000)
  expect([gone.has('u0'), gone.has('u1499')]).toEqual([false, true])
})

test('older invitations do not admit a former member who was dropped from the list', () => {
  const many = Array.from({ length: 1_000 }, (_, at) => [joined(`u${at}`), left(`u${at}`)]).flat()
  const before = membersAfter(invited('old'), joined('bob'), left('bob'), invited('new'))
  const after = many.reduce((members, event, at) => applyToMembers(members, at + 5, event), before)
  expect([before.gone.has('bob'), after.gone.has('bob')]).toEqual([true, false])
  expect(validInvite(after, 'old', hash, 'bob', 0)).toBeUndefined()
  expect(validInvite(after, 'new', hash, 'bob', 0)).toBeDefined()
})
