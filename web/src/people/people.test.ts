// What the page says of people: names, roles, who is here and who writes.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HUES, hueOf, initials, nameOf } from './names.ts'
import type { PeopleState } from './people.ts'
import { hereOf, typingNote, type Watcher } from './presence-note.ts'
import { mayDo } from './roles.ts'
import { TypingSignal } from './typing-signal.ts'

describe('a name', () => {
  const people: PeopleState = { members: new Map([['u1', { role: 'owner', name: 'Ada' }]]), invites: [] }

  it('is what the session knows, else what came with the connection, else the id', () => {
    expect(nameOf(people, 'u1', 'Lady L.')).toBe('Ada')
    expect(nameOf(people, 'u2', 'Bob')).toBe('Bob')
    expect(nameOf(people, 'u2')).toBe('u2')
  })

  it('has initials, of any alphabet', () => {
    expect(['Ada Lovelace', 'zoë', 'a.b@example.org', '李 小龍', '🦊 fox', '', ' - '].map(initials)).toEqual([
      'AL',
      'Z',
      'AO',
      '李小',
      '🦊F',
      '?',
      '?',
    ])
  })

  it('has a colour that depends on the user alone', () => {
    for (const user of ['', 'ada', 'x'.repeat(256), '🦊']) {
      expect(hueOf(user)).toBe(hueOf(user))
      expect(hueOf(user)).toBeLessThan(HUES)
    }
  })
})

describe('a role', () => {
  it('takes away what it does not allow, and nothing while it is not known', () => {
    expect(mayDo('viewer', 'send')).toBe(false)
    expect(mayDo('approver', 'decide')).toBe(true)
    expect(mayDo('editor', 'manage')).toBe(false)
    expect(mayDo(undefined, 'manage')).toBe(true)
    expect(mayDo('a later role', 'send')).toBe(true)
  })
})

describe('who is here', () => {
  const self = { user: 'ada', connection: 'c1' }
  const at = (user: string, connection: string, more: Partial<Watcher> = {}): Watcher => ({
    user,
    connection,
    typing: false,
    ...more,
  })
  const called = (user: string, said?: string): string => said ?? user

  it('is a person once, with all their devices, and oneself first', () => {
    const here = hereOf(
      [
        at('bob', 'c2', { device: 'phone', name: 'Bob' }),
        at('ada', 'c1', { device: 'computer' }),
        at('bob', 'c3', { device: 'phone', typing: true, name: 'Bob' }),
      ],
      self,
      called,
    )
    expect(here.map(({ name, devices, typing, isSelf }) => ({ name, devices, typing, isSelf }))).toEqual([
      { name: 'ada', devices: ['computer'], typing: false, isSelf: true },
      { name: 'Bob', devices: ['phone'], typing: true, isSelf: false },
    ])
  })

  it('are as many as there are connections, where nobody is told apart', () => {
    const here = hereOf([at('anonymous', 'c1'), at('anonymous', 'c2')], { user: 'anonymous', connection: 'c1' }, called)
    expect(here.map(({ isSelf }) => isSelf)).toEqual([true, false])
  })

  it('is told of as writing, but never to the page on which it is written', () => {
    const note = (...watchers: Watcher[]): string => typingNote(hereOf(watchers, self, called))
    const writes = { typing: true }
    expect(note(at('ada', 'c1', writes))).toBe('')
    expect(note(at('ada', 'c9', writes))).toBe('You are writing on another device')
    expect(note(at('bob', 'c2', writes))).toBe('bob is writing')
    expect(note(at('bob', 'c2', writes), at('cy', 'c3', writes))).toBe('bob and cy are writing')
    expect(note(...['b', 'c', 'd'].map((user) => at(user, user, writes)))).toBe('3 people are writing')
  })
})

describe('that somebody writes', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is said at once, then every three seconds at most, and taken back when nothing more is typed', () => {
    const said: [boolean, number][] = []
    const begun = Date.now()
    const signal = new TypingSignal((typing) => said.push([typing, Date.now() - begun]))
    for (let at = 0; at < 70; at += 1) {
      signal.typed()
      vi.advanceTimersByTime(100)
    }
    vi.advanceTimersByTime(60_000)
    expect(said).toEqual([
      [true, 0],
      [true, 3_000],
      [true, 6_000],
      [false, 11_900],
    ])
  })

  it('is taken back once when it was sent, and said again with the next message', () => {
    const said: boolean[] = []
    const signal = new TypingSignal((typing) => said.push(typing))
    signal.typed()
    signal.ended()
    signal.ended()
    signal.typed()
    vi.advanceTimersByTime(60_000)
    expect(said).toEqual([true, false, true, false])
  })
})
