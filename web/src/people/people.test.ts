// Names, roles, presence and typing.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HUES, hueOf, initials, nameOf } from './names.ts'
import type { PeopleState } from './people.ts'
import { groupByPerson, type PresentConnection, typingNote } from './presence-note.ts'
import { mayDo } from './roles.ts'
import { TypingSignal } from './typing-signal.ts'

describe('a name', () => {
  const people: PeopleState = { members: new Map([['u1', { role: 'owner', name: 'Ada' }]]), invites: [] }

  it('is the member’s name, else the connection’s, else the id', () => {
    expect(nameOf(people, 'u1', 'Lady L.')).toBe('Ada')
    expect(nameOf(people, 'u2', 'Bob')).toBe('Bob')
    expect(nameOf(people, 'u2')).toBe('u2')
  })

  it('has initials, of any alphabet', () => {
    expect(
      ['Ada Lovelace', 'zoë', 'a.b@example.org', '李 小龍', '🦊 fox', '🇨🇭 👩‍👩‍👧‍👦!', 'e\u0301va', '', ' - '].map(
        initials,
      ),
    ).toEqual(['AL', 'Z', 'AO', '李小', '🦊F', '🇨🇭👩‍👩‍👧‍👦', 'E\u0301', '?', '?'])
  })

  it('has a colour that depends on the user alone', () => {
    for (const user of ['', 'ada', 'x'.repeat(256), '🦊']) {
      expect(hueOf(user)).toBe(hueOf(user))
      expect(hueOf(user)).toBeLessThan(HUES)
    }
  })
})

describe('a role', () => {
  it('forbids what it does not allow, and nothing while it is unknown', () => {
    expect(mayDo('viewer', 'send')).toBe(false)
    expect(mayDo('approver', 'decide')).toBe(true)
    expect(mayDo('editor', 'manage')).toBe(false)
    expect(mayDo(undefined, 'manage')).toBe(true)
    expect(mayDo('a later role', 'send')).toBe(true)
  })
})

describe('presence', () => {
  const self = { user: 'ada', connection: 'c1' }
  const at = (user: string, connection: string, more: Partial<PresentConnection> = {}): PresentConnection => ({
    user,
    connection,
    typing: false,
    ...more,
  })
  const displayName = (user: string, connectionName?: string): string => connectionName ?? user

  it('lists each person once, with all devices, and the user first', () => {
    const people = groupByPerson(
      [
        at('bob', 'c2', { device: 'phone', name: 'Bob' }),
        at('ada', 'c1', { device: 'computer' }),
        at('bob', 'c3', { device: 'phone', typing: true, name: 'Bob' }),
      ],
      self,
      displayName,
    )
    expect(people.map(({ name, devices, typing, isSelf }) => ({ name, devices, typing, isSelf }))).toEqual([
      { name: 'ada', devices: ['computer'], typing: false, isSelf: true },
      { name: 'Bob', devices: ['phone'], typing: true, isSelf: false },
    ])
  })

  it('lists each connection as a guest without authentication', () => {
    const self = { user: 'anonymous', connection: 'c1' }
    const people = groupByPerson([at('anonymous', 'c1'), at('anonymous', 'c2')], self, displayName)
    expect(people.map(({ name, isSelf }) => [name, isSelf])).toEqual([
      ['Guest', true],
      ['Guest', false],
    ])
  })

  it('shows who is typing, except on the page where the user types', () => {
    const note = (...connections: PresentConnection[]): string =>
      typingNote(groupByPerson(connections, self, displayName))
    const typing = { typing: true }
    expect(note(at('ada', 'c1', typing))).toBe('')
    expect(note(at('ada', 'c9', typing))).toBe('You’re typing on another device')
    expect(note(at('bob', 'c2', typing))).toBe('bob is typing')
    expect(note(at('bob', 'c2', typing), at('cy', 'c3', typing))).toBe('bob and cy are typing')
    expect(note(...['b', 'c', 'd'].map((user) => at(user, user, typing)))).toBe('3 people are typing')
  })
})

describe('the typing signal', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is sent at once, then at most every three seconds, and cleared when the user stops typing', () => {
    const sent: [boolean, number][] = []
    const startedAt = Date.now()
    const signal = new TypingSignal((typing) => sent.push([typing, Date.now() - startedAt]))
    for (let at = 0; at < 70; at += 1) {
      signal.typed()
      vi.advanceTimersByTime(100)
    }
    vi.advanceTimersByTime(60_000)
    expect(sent).toEqual([
      [true, 0],
      [true, 3_000],
      [true, 6_000],
      [false, 11_900],
    ])
  })

  it('is cleared once when the message is sent, and sent again with the next message', () => {
    const sent: boolean[] = []
    const signal = new TypingSignal((typing) => sent.push(typing))
    signal.typed()
    signal.ended()
    signal.ended()
    signal.typed()
    vi.advanceTimersByTime(60_000)
    expect(sent).toEqual([true, false, true, false])
  })
})
