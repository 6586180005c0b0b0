// What is said of versions, and what is sent for an edit or another answer.
import type { MessageView, Reply, SendOptions, SessionView, TurnView } from '@parley/client'
import { describe, expect, it } from 'vitest'
import { Sender, type SendingSession } from '../composer/sender.ts'
import { Outbox, type Outgoing } from '../composer/unsent-messages.ts'
import { Keep } from '../shared/browser-storage.ts'
import { versionName, versionNote } from './version-note.ts'

const text = (words: string) => ({ type: 'text' as const, text: words })

function message(id: string, more: Partial<MessageView> = {}): MessageView {
  const said = more.content ?? [text(id)]
  return { id, author: 'a', content: said, text: id, time: 0, policy: 'queue', run: `run_${id}`, parent: null, ...more }
}

function turns(...shown: readonly (readonly [id: string, after: string, versions?: readonly string[]])[]): TurnView[] {
  return shown.map(([id, after, versions = [id]]) => ({ kind: 'message', message: message(id), after, versions }))
}

describe('a version', () => {
  it('is told of when it takes another one’s place, and not when the conversation goes on', () => {
    const before = turns(['a', ''], ['b', 'a', ['b', 'b2']], ['c', 'b'])
    const after = turns(['a', ''], ['b2', 'a', ['b', 'b2']])
    expect(versionNote(before, after)).toBe('Version 2 of 2 is shown.')
    expect(versionNote(after, before)).toBe('Version 1 of 2 is shown.')
    expect(versionNote(before, [...before, ...turns(['d', 'c'])])).toBeUndefined()
    expect(versionNote(before, before.slice(0, 1))).toBeUndefined()
    expect(versionNote([], before)).toBeUndefined()
    // Another session, say.
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
  const keep = new Keep(() => ({
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

  it('edits in a message’s place, and keeps what else was in it, over a reload, too', () => {
    const session = new Sent()
    const sender = new Sender(session, new Outbox(keep, 's'))
    const file = { type: 'file' as const, mediaType: 'image/png', url: 'https://example.org/a.png' }
    sender.edit(message('b', { parent: 'a', model: 'm', content: [text('b'), file] }), 'better')
    sender.regenerate(message('a', { agent: 'g', context: { instructions: 'Briefly.' } }))
    session.state = { ...session.state, chosen: 'b', turns: turns(['a', ''], ['b', 'a']) }
    sender.send('on', 'now')
    expect(session.sent).toMatchObject([
      { content: [text('better'), file], options: { parent: 'a', model: 'm', policy: 'queue' } },
      { content: 'a', options: { parent: null, agent: 'g', context: { instructions: 'Briefly.' } } },
      { content: 'on', options: { parent: 'b' } },
    ])
    const later = new Sent()
    new Sender(later, new Outbox(keep, 's'))
    expect(later.sent).toEqual(session.sent)
  })

  it('interrupts what is being said, of which it tells how much was seen', () => {
    const session = new Sent()
    const runs = new Map([['run_1', { id: 'run_1', next: 3 }]])
    session.state = { ...session.state, activeRun: 'run_1', runs } as unknown as SessionView
    new Sender(session, new Outbox(keep, 'other')).edit(message('b', { parent: 'a' }), 'better')
    expect(session.sent[0]?.options).toMatchObject({ policy: 'interrupt', seen: { run: 'run_1', index: 2 } })
  })

  it('passes over what is kept and is none of its making', () => {
    const good: Outgoing = { id: 'm', text: 't', policy: 'queue', parent: null }
    for (const bad of [{ parent: 7 }, { parent: 'no id' }, { parts: {} }, { context: 'x' }, { model: 1 }]) {
      values.set('parley.outbox.bad', JSON.stringify([{ ...good, ...bad }, good]))
      expect(new Outbox(keep, 'bad').messages).toEqual([good])
    }
  })
})
