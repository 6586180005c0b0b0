// The announcement of versions, and the messages that an edit or a regeneration sends.
import type { MessageView, Reply, SendOptions, SessionView, TurnView } from '@parley/client'
import { describe, expect, it } from 'vitest'
import { Sender, type SendingSession } from '../composer/sender.ts'
import { type UnsentMessage, UnsentMessages } from '../composer/unsent-messages.ts'
import { BrowserStorage } from '../shared/browser-storage.ts'
import { versionName, versionNote } from './version-note.ts'

const text = (words: string) => ({ type: 'text' as const, text: words })

function message(id: string, more: Partial<MessageView> = {}): MessageView {
  const content = [text(id)]
  return { id, author: 'a', content, text: id, time: 0, policy: 'queue', run: `run_${id}`, parent: null, ...more }
}

function turns(...shown: readonly (readonly [id: string, after: string, versions?: readonly string[]])[]): TurnView[] {
  return shown.map(([id, after, versions = [id]]) => ({
    kind: 'message',
    message: message(id),
    run: undefined,
    after,
    versions,
  }))
}

describe('a version', () => {
  it('is announced when it replaces another one, and not when the conversation continues', () => {
    const before = turns(['a', ''], ['b', 'a', ['b', 'b2']], ['c', 'b'])
    const after = turns(['a', ''], ['b2', 'a', ['b', 'b2']])
    expect(versionNote(before, after)).toBe('Showing version 2 of 2.')
    expect(versionNote(after, before)).toBe('Showing version 1 of 2.')
    expect(versionNote(before, [...before, ...turns(['d', 'c'])])).toBeUndefined()
    expect(versionNote(before, before.slice(0, 1))).toBeUndefined()
    expect(versionNote([], before)).toBeUndefined()
    // Another session.
    expect(versionNote(before, turns(['x', '']))).toBeUndefined()
    expect(versionName({ message: message('b'), versions: ['a', 'b', 'c'] })).toBe('Version 2 of 3')
  })
})

class Sent implements SendingSession {
  readonly id = 's'
  readonly sent: { readonly content: unknown; readonly options: SendOptions }[] = []
  state = { chosen: undefined, turns: [], activeRun: undefined, runs: new Map() } as unknown as SessionView

  readonly send = (content: unknown, options: SendOptions = {}): Reply => {
    this.sent.push({ content, options })
    return { accepted: new Promise(() => undefined) } as unknown as Reply
  }
}

describe('a sender', () => {
  const values = new Map<string, string>()
  const storage = new BrowserStorage(() => ({
    length: values.size,
    key: (at) => [...values.keys()][at] ?? null,
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => {
      values.set(key, value)
    },
    removeItem: (key) => {
      values.delete(key)
    },
  }))

  it('sends an edit in the message’s position, with its other parts, also after a reload', () => {
    const session = new Sent()
    const sender = new Sender(session, new UnsentMessages(storage, 's'))
    const file = { type: 'file' as const, mediaType: 'image/png', url: 'https://example.org/a.png' }
    sender.edit(message('b', { parent: 'a', content: [text('b'), file] }), 'better', { model: 'm' })
    sender.regenerate(message('a', { context: { instructions: 'Briefly.' } }), { agent: 'g' }, 'msg_1')
    session.state = { ...session.state, chosen: 'b', turns: turns(['a', ''], ['b', 'a']) }
    sender.send('on', 'interrupt')
    expect(session.sent).toMatchObject([
      { content: [text('better'), file], options: { parent: 'a', model: 'm', policy: 'queue' } },
      { content: 'a', options: { parent: null, agent: 'g', context: { instructions: 'Briefly.' } } },
      { content: 'on', options: { parent: 'b' } },
    ])
    const later = new Sent()
    new Sender(later, new UnsentMessages(storage, 's'))
    expect(later.sent).toEqual(session.sent)
  })

  it('interrupts the streaming answer, and reports how much of it was seen', () => {
    const session = new Sent()
    const runs = new Map([['run_1', { id: 'run_1', next: 3 }]])
    session.state = { ...session.state, activeRun: 'run_1', runs } as unknown as SessionView
    new Sender(session, new UnsentMessages(storage, 'other')).edit(message('b', { parent: 'a' }), 'better', {})
    expect(session.sent[0]?.options).toMatchObject({ policy: 'interrupt', seen: { run: 'run_1', index: 2 } })
  })

  it('ignores malformed stored messages', () => {
    const good: UnsentMessage = { id: 'm', text: 't', policy: 'queue', parent: null }
    for (const bad of [{ parent: 7 }, { parent: 'no id' }, { parts: {} }, { context: 'x' }, { model: 1 }]) {
      values.set('parley.outbox.bad', JSON.stringify([{ ...good, ...bad }, good]))
      expect(new UnsentMessages(storage, 'bad').messages).toEqual([good])
    }
  })
})
