// What the page keeps in the browser: the outbox and what is sent from it, recent sessions, drafts.
import { ParleyError, type Reply, type SendOptions, type SessionView } from '@parley/client'
import { describe, expect, it } from 'vitest'
import { RecentSessions } from '../sessions/recent-sessions.ts'
import { Keep, type Storage } from '../shared/browser-storage.ts'
import { Drafts } from './drafts.ts'
import { Sender, type SendingSession } from './sender.ts'
import { Outbox, type Outgoing, waitingSessions } from './unsent-messages.ts'

class Memory implements Storage {
  readonly values = new Map<string, string>()
  full = false

  get length(): number {
    return this.values.size
  }
  key(at: number): string | null {
    return [...this.values.keys()][at] ?? null
  }
  getItem(key: string): string | null {
    return this.values.get(key) ?? null
  }
  setItem(key: string, value: string): void {
    if (this.full) throw new Error('QuotaExceededError')
    this.values.set(key, value)
  }
  removeItem(key: string): void {
    this.values.delete(key)
  }
}

const memory = (): { storage: Memory; keep: Keep } => {
  const storage = new Memory()
  return { storage, keep: new Keep(() => storage) }
}
const denied = (): Keep =>
  new Keep(() => {
    throw new Error('SecurityError')
  })
const hello: Outgoing = { id: 'msg_1', text: 'hello', policy: 'queue' }

describe('an outbox', () => {
  it('is there after a reload, in order, and empty when all has left it', () => {
    const { storage, keep } = memory()
    const outbox = new Outbox(keep, 'ses_1')
    const second: Outgoing = { id: 'msg_2', text: 'stop', policy: 'interrupt', seen: { run: 'run_1', index: 3 } }
    outbox.put(hello)
    outbox.put(second)
    outbox.put({ ...hello, refused: 'no room' })
    expect(new Outbox(keep, 'ses_1').messages).toEqual([{ ...hello, refused: 'no room' }, second])
    expect(new Outbox(keep, 'ses_2').messages).toEqual([])
    expect(waitingSessions(keep)).toEqual(new Set(['ses_1']))
    outbox.remove('msg_1')
    outbox.remove('msg_2')
    expect(storage.values.size).toBe(0)
    expect(outbox.isKept).toBe(true)
  })

  it('leaves to another tab what that one wrote', () => {
    const { keep } = memory()
    const one = new Outbox(keep, 'ses_1')
    const other = new Outbox(keep, 'ses_1')
    one.put(hello)
    other.put({ ...hello, id: 'msg_2' })
    one.remove('msg_1')
    expect(other.messages.map(({ id }) => id)).toEqual(['msg_2'])
  })

  it('holds in the page what the browser will not keep, and says so', () => {
    const { storage, keep } = memory()
    storage.full = true
    for (const outbox of [new Outbox(keep, 'ses_1'), new Outbox(denied(), 'ses_1')]) {
      outbox.put(hello)
      outbox.put({ ...hello, refused: 'no' })
      expect(outbox.messages).toEqual([{ ...hello, refused: 'no' }])
      expect(outbox.isKept).toBe(false)
      outbox.remove('msg_1')
      expect(outbox.isKept).toBe(true)
    }
  })

  it('passes over what is not its own', () => {
    const { storage, keep } = memory()
    for (const text of ['{', '{}', 'null', '[1,null,{"id":"a b","text":"x","policy":"queue"},{"id":"a","text":1}]']) {
      storage.setItem('parley.outbox.ses_1', text)
      expect(new Outbox(keep, 'ses_1').messages).toEqual([])
    }
  })
})

/** A session that notes what is sent, and answers when it is told to. */
class Sent implements SendingSession {
  readonly id = 'ses_1'
  readonly sent: { readonly text: unknown; readonly options: SendOptions }[] = []
  readonly answers: { ok: () => void; fail: (error: Error) => void }[] = []
  state = { activeRun: undefined, runs: new Map() } as unknown as SessionView

  readonly send = (text: unknown, options: SendOptions = {}): Reply => {
    this.sent.push({ text, options })
    const accepted = new Promise((resolve, reject) => {
      this.answers.push({
        ok: () => resolve({ message: options.id ?? '', run: 'run', duplicate: false }),
        fail: reject,
      })
    })
    return { command: options.id ?? '', accepted } as unknown as Reply
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a sender', () => {
  it('sends what the page before it did not see arrive, under the same ids, and nothing twice', async () => {
    const { keep } = memory()
    const first = new Sent()
    new Sender(first, new Outbox(keep, 'ses_1')).send('hello', 'now')
    const [{ options } = { options: {} }] = first.sent
    // The page is gone before the answer.
    const second = new Sent()
    const sender = new Sender(second, new Outbox(keep, 'ses_1'))
    expect(second.sent).toEqual([{ text: 'hello', options }])
    second.answers[0]?.ok()
    await settled()
    const third = new Sent()
    new Sender(third, new Outbox(keep, 'ses_1'))
    expect(third.sent).toEqual([])
    expect(sender.state.unsent).toEqual([])
  })

  it('interrupts the answer that is being given, or waits for its end', () => {
    const session = new Sent()
    session.state = {
      activeRun: 'run_1',
      runs: new Map([['run_1', { id: 'run_1', next: 4 }]]),
    } as unknown as SessionView
    const sender = new Sender(session, new Outbox(denied(), 'ses_1'))
    sender.send('stop', 'now')
    sender.send('then', 'after')
    expect(session.sent.map(({ options }) => [options.policy, options.seen])).toEqual([
      ['interrupt', { run: 'run_1', index: 3 }],
      ['queue', undefined],
    ])
    expect(sender.state.sends).toBe(2)
  })

  it('keeps what was refused, over a reload, until it is sent or discarded', async () => {
    const { keep } = memory()
    const session = new Sent()
    const sender = new Sender(session, new Outbox(keep, 'ses_1'))
    sender.send('hello', 'now')
    session.answers[0]?.fail(new ParleyError('queue_full', 'Too many wait.', true))
    await settled()
    const [unsent] = sender.state.unsent
    expect(unsent).toMatchObject({ text: 'hello', refused: 'Too many wait.' })
    const again = new Sent()
    const later = new Sender(again, new Outbox(keep, 'ses_1'))
    expect(again.sent).toEqual([])
    expect(later.state.unsent).toEqual([unsent])
    later.retry(unsent as Outgoing)
    expect(again.sent.map(({ options }) => options.id)).toEqual([unsent?.id])
    expect(later.state.unsent).toEqual([])
    again.answers[0]?.fail(new Error('no'))
    await settled()
    later.dismiss(later.state.unsent[0] as Outgoing)
    expect(new Outbox(keep, 'ses_1').messages).toEqual([])
  })

  it('takes the end of the connection for no refusal', async () => {
    const { keep } = memory()
    const session = new Sent()
    const sender = new Sender(session, new Outbox(keep, 'ses_1'))
    sender.send('hello', 'now')
    session.answers[0]?.fail(new ParleyError('closed', 'The session was closed.'))
    await settled()
    expect(sender.state.unsent).toEqual([])
    expect(new Outbox(keep, 'ses_1').messages).toHaveLength(1)
  })
})

describe('recent sessions', () => {
  it('are the last first, once each, and not more than fifty', () => {
    const { keep } = memory()
    const recent = new RecentSessions(keep)
    for (let at = 0; at < 60; at += 1) recent.note({ id: `ses_${at}`, title: `Number ${at}`, time: at })
    recent.note({ id: 'ses_20', title: 'Twenty', time: 100 })
    expect(recent.state).toHaveLength(50)
    expect(recent.state.slice(0, 2).map(({ title }) => title)).toEqual(['Twenty', 'Number 59'])
    recent.forget('ses_20')
    expect(new RecentSessions(keep).state[0]?.title).toBe('Number 59')
  })

  it('have a title of one line', () => {
    const recent = new RecentSessions(memory().keep)
    recent.note({ id: 'a', title: `  many\n\nlines ${'x'.repeat(200)}`, time: 1 })
    recent.note({ id: 'b', title: ' \n ', time: 0 })
    expect(recent.state.map(({ title }) => title.length)).toEqual([80, 8])
    expect(recent.state[0]?.title.startsWith('many lines x')).toBe(true)
  })

  it('are told of what another tab wrote', () => {
    const { keep } = memory()
    const one = new RecentSessions(keep)
    const told: number[] = []
    one.subscribe(() => told.push(one.state.length))
    new RecentSessions(keep).note({ id: 'a', title: 'A', time: 1 })
    one.changed('something else')
    one.changed('parley.sessions')
    expect(told).toEqual([1])
  })

  it('pass over what is not theirs', () => {
    const { storage, keep } = memory()
    storage.setItem('parley.sessions', '[{"id":"../x","title":"a","time":1},{"id":"a","title":3,"time":1},7]')
    expect(new RecentSessions(keep).state).toEqual([])
  })
})

describe('drafts', () => {
  it('are kept for each session, and go when they are empty', () => {
    const { storage, keep } = memory()
    const drafts = new Drafts(keep)
    drafts.write('a', 'half a sen')
    expect(new Drafts(keep).read('a')).toBe('half a sen')
    expect(drafts.read('b')).toBe('')
    drafts.write('a', '')
    expect(storage.values.size).toBe(0)
    expect(new Drafts(denied()).read('a')).toBe('')
  })

  it('do not pile up: when there are many, those of sessions that nobody knows go', () => {
    const { keep } = memory()
    const drafts = new Drafts(keep)
    for (let at = 0; at < 101; at += 1) drafts.write(`ses_${at}`, 'x')
    drafts.trim(new Set(['ses_7']))
    expect(drafts.read('ses_7')).toBe('x')
    expect(drafts.read('ses_8')).toBe('')
  })
})
