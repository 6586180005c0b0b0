// Members, as the log tells of them: roles, who was removed, and whom an invitation lets in.

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  foldMembers,
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

function folded(...events: readonly MemberEvent[]): Members {
  return events.reduce((members, event, at) => foldMembers(members, at + 1, event), NO_MEMBERS)
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
])('%s may do what the role says, and no more', (role, allowed) => {
  const members = folded(joined('ann', role))
  const all = ['read', 'send', 'run', 'decide', 'manage'] as const
  expect(all.filter((permission) => isAllowed(members, 'ann', permission))).toEqual(allowed)
  expect(all.filter((permission) => isAllowed(members, 'bob', permission))).toEqual([])
})

test('who joins again has another role, and who left has none', () => {
  const members = folded(joined('ann', 'owner'), joined('bob'), joined('bob', 'editor'), left('ann'))
  expect([...members.all]).toEqual([['bob', { role: 'editor' }]])
})

test('the last owner is the only one, however many others there are', () => {
  const one = folded(joined('ann', 'owner'), joined('bob', 'editor'))
  expect([isLastOwner(one, 'ann'), isLastOwner(one, 'bob')]).toEqual([true, false])
  expect(isLastOwner(foldMembers(one, 9, joined('bob', 'owner')), 'ann')).toBe(false)
})

test('an invitation lets in who has its secret, until it is over or taken back', () => {
  const members = folded(invited('i1'))
  expect(validInvite(members, 'i1', hash, 'bob', 999)?.role).toBe('editor')
  expect(validInvite(members, 'i1', hash, 'bob', 1_000)).toBeUndefined()
  expect(validInvite(members, 'i1', `${hash}x`, 'bob', 0)).toBeUndefined()
  expect(validInvite(members, 'i2', hash, 'bob', 0)).toBeUndefined()
  const revoked = foldMembers(members, 2, { type: 'invite.revoked', invite: 'i1', by: 'ann' })
  expect(validInvite(revoked, 'i1', hash, 'bob', 0)).toBeUndefined()
})

test('who was removed is let in by no invitation from before, but by one from after', () => {
  const members = folded(invited('old'), joined('bob'), left('bob'), invited('new'))
  expect(validInvite(members, 'old', hash, 'bob', 0)).toBeUndefined()
  expect(validInvite(members, 'old', hash, 'cyd', 0)).toBeDefined()
  expect(validInvite(members, 'new', hash, 'bob', 0)).toBeDefined()
})

test('a transcript keeps them as they are', () => {
  const user = fc.constantFrom('a', 'b', 'c')
  const event = fc.oneof(
    user.map((name) => joined(name)),
    user.map((name) => left(name)),
    user.map((name) => invited(name)),
    user.map((invite): MemberEvent => ({ type: 'invite.revoked', invite, by: 'a' })),
  )
  fc.assert(
    fc.property(fc.array(event), (events) => {
      const members = folded(...events)
      const record = membersRecord(members)
      expect(record === undefined ? NO_MEMBERS : membersOf(JSON.parse(JSON.stringify(record)))).toEqual(members)
    }),
  )
})

test('of those who are gone a bounded number is remembered', () => {
  const many = Array.from({ length: 1_500 }, (_, at) => [joined(`u${at}`), left(`u${at}`)]).flat()
  const { gone } = folded(...many)
  expect(gone.size).toBe(1_000)
  expect([gone.has('u0'), gone.has('u1499')]).toEqual([false, true])
})

test('who is forgotten among those who are gone is let in by no invitation from before either', () => {
  const many = Array.from({ length: 1_000 }, (_, at) => [joined(`u${at}`), left(`u${at}`)]).flat()
  const before = folded(invited('old'), joined('bob'), left('bob'), invited('new'))
  const after = many.reduce((members, event, at) => foldMembers(members, at + 5, event), before)
  expect([before.gone.has('bob'), after.gone.has('bob')]).toEqual([true, false])
  expect(validInvite(after, 'old', hash, 'bob', 0)).toBeUndefined()
  expect(validInvite(after, 'new', hash, 'bob', 0)).toBeDefined()
})
