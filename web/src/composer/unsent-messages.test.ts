// The values that the page stores in the browser: unsent messages, recent sessions and drafts; and the sender.
import { type MessageView, ParleyError, type Reply, type SendOptions, type SessionView } from '@parley/client'
import { describe, expect, it } from 'vitest'
import { RecentSessions } from '../sessions/recent-sessions.ts'
import { BrowserStorage, type WebStorage } from '../shared/browser-storage.ts'
import { Draft, Drafts, lengthNote } from './drafts.ts'
import { Sender, type SendingSession } from './sender.ts'
import { sessionsWithUnsent, type UnsentMessage, UnsentMessages } from './unsent-messages.ts'

class Memory implements WebStorage {
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

const inMemory = (): { memory: Memory; storage: BrowserStorage } => {
  const memory = new Memory()
  return { memory, storage: new BrowserStorage(() => memory) }
}
const denied = (): BrowserStorage =>
  new BrowserStorage(() => {
    throw new Error('SecurityError')
  })
const hello: UnsentMessage = { id: 'msg_1', text: 'hello', policy: 'queue' }

describe('unsent messages', () => {
  it('survive a reload in order, and leave nothing behind when all are removed', () => {
    const { memory, storage } = inMemory()
    const unsent = new UnsentMessages(storage, 'ses_1')
    const second: UnsentMessage = { id: 'msg_2', text: 'stop', policy: 'interrupt', seen: { run: 'run_1', index: 3 } }
    unsent.put(hello)
    unsent.put(second)
    unsent.put({ ...hello, refused: 'no room' })
    expect(new UnsentMessages(storage, 'ses_1').messages).toEqual([{ ...hello, refused: 'no room' }, second])
    expect(new UnsentMessages(storage, 'ses_2').messages).toEqual([])
    expect(sessionsWithUnsent(storage)).toEqual(new Set(['ses_1']))
    unsent.remove('msg_1')
    unsent.remove('msg_2')
    expect(memory.values.size).toBe(0)
    expect(unsent.isStored).toBe(true)
  })

  it('do not overwrite the messages of another tab', () => {
    const { storage } = inMemory()
    const one = new UnsentMessages(storage, 'ses_1')
    const other = new UnsentMessages(storage, 'ses_1')
    one.put(hello)
    other.put({ ...hello, id: 'msg_2' })
    one.remove('msg_1')
    expect(other.messages.map(({ id }) => id)).toEqual(['msg_2'])
  })

  it('stay in memory if the browser cannot store them, and report it', () => {
    const { memory, storage } = inMemory()
    memory.full = true
    for (const unsent of [new UnsentMessages(storage, 'ses_1'), new UnsentMessages(denied(), 'ses_1')]) {
      unsent.put(hello)
      unsent.put({ ...hello, refused: 'no' })
      expect(unsent.messages).toEqual([{ ...hello, refused: 'no' }])
      expect(unsent.isStored).toBe(false)
      unsent.remove('msg_1')
      expect(unsent.isStored).toBe(true)
    }
  })

  it('ignore malformed stored values', () => {
    const { memory, storage } = inMemory()
    for (const text of ['{', '{}', 'null', '[1,null,{"id":"a b","text":"x","policy":"queue"},{"id":"a","text":1}]']) {
      memory.setItem('parley.outbox.ses_1', text)
      expect(new UnsentMessages(storage, 'ses_1').messages).toEqual([])
    }
  })
})

/** A session that records the sent messages. The test resolves or rejects each reply. */
class Sent implements SendingSession {
  readonly id = 'ses_1'
  readonly sent: { readonly text: unknown; readonly options: SendOptions }[] = []
  readonly replies: { ok: () => void; fail: (error: Error) => void }[] = []
  state = { activeRun: undefined, runs: new Map() } as unknown as SessionView

  readonly send = (text: unknown, options: SendOptions = {}): Reply => {
    this.sent.push({ text, options })
    const accepted = new Promise((resolve, reject) => {
      this.replies.push({
        ok: () => resolve({ message: options.id ?? '', run: 'run', duplicate: false }),
        fail: reject,
      })
    })
    return { command: options.id ?? '', accepted } as unknown as Reply
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a sender', () => {
  it('sends unconfirmed messages of the previous page again, with the same ids, and nothing twice', async () => {
    const { storage } = inMemory()
    const first = new Sent()
    new Sender(first, new UnsentMessages(storage, 'ses_1')).send('hello', 'interrupt')
    const [{ options } = { options: {} }] = first.sent
    // The page closes before the reply.
    const second = new Sent()
    const sender = new Sender(second, new UnsentMessages(storage, 'ses_1'))
    expect(second.sent).toEqual([{ text: 'hello', options }])
    second.replies[0]?.ok()
    await nextTurn()
    const third = new Sent()
    new Sender(third, new UnsentMessages(storage, 'ses_1'))
    expect(third.sent).toEqual([])
    expect(sender.state.refused).toEqual([])
  })

  it('interrupts the streaming answer, or queues the message', () => {
    const session = new Sent()
    session.state = {
      activeRun: 'run_1',
      runs: new Map([['run_1', { id: 'run_1', next: 4 }]]),
    } as unknown as SessionView
    const sender = new Sender(session, new UnsentMessages(denied(), 'ses_1'))
    sender.send('stop', 'interrupt')
    sender.send('then', 'queue')
    expect(session.sent.map(({ options }) => [options.policy, options.seen])).toEqual([
      ['interrupt', { run: 'run_1', index: 3 }],
      ['queue', undefined],
    ])
    expect(sender.state.sends).toBe(2)
  })

  it('keeps a refused message over a reload until it is sent or discarded', async () => {
    const { storage } = inMemory()
    const session = new Sent()
    const sender = new Sender(session, new UnsentMessages(storage, 'ses_1'))
    sender.send('hello', 'interrupt')
    session.replies[0]?.fail(new ParleyError('queue_full', 'The queue is full.', true))
    await nextTurn()
    const [refused] = sender.state.refused
    expect(refused).toMatchObject({ text: 'hello', refused: 'The queue is full.' })
    const again = new Sent()
    const later = new Sender(again, new UnsentMessages(storage, 'ses_1'))
    expect(again.sent).toEqual([])
    expect(later.state.refused).toEqual([refused])
    later.retry(refused as UnsentMessage)
    expect(again.sent.map(({ options }) => options.id)).toEqual([refused?.id])
    expect(later.state.refused).toEqual([])
    again.replies[0]?.fail(new Error('no'))
    await nextTurn()
    later.dismiss(later.state.refused[0] as UnsentMessage)
    expect(new UnsentMessages(storage, 'ses_1').messages).toEqual([])
  })

  it('requests another answer once for each press, however often the press is repeated', () => {
    const session = new Sent()
    const sender = new Sender(session, new UnsentMessages(denied(), 'ses_1'))
    const message = {
      text: 'hello',
      content: [{ type: 'text', text: 'hello' }],
      parent: null,
    } as unknown as MessageView
    sender.regenerate(message, {}, 'msg_2')
    sender.regenerate(message, {}, 'msg_2')
    sender.regenerate(message, { model: 'demo' }, 'msg_3')
    expect(session.sent.map(({ options }) => [options.id, options.model])).toEqual([
      ['msg_2', undefined],
      ['msg_3', 'demo'],
    ])
  })

  it('tells the reset of a budget by the server’s clock', async () => {
    const session = new Sent()
    const sender = new Sender(session, new UnsentMessages(denied(), 'ses_1'), undefined, () => Date.UTC(2030, 0, 1))
    sender.send('hello', 'queue')
    session.replies[0]?.fail(new ParleyError('budget_exceeded', 'Token budget exhausted.', true, 86_400_000))
    await nextTurn()
    expect(sender.state.refused[0]?.refused).toMatch(/Resets on .*\b2\b/)
  })

  it('does not treat a closed connection as a refusal', async () => {
    const { storage } = inMemory()
    const session = new Sent()
    const sender = new Sender(session, new UnsentMessages(storage, 'ses_1'))
    sender.send('hello', 'interrupt')
    session.replies[0]?.fail(new ParleyError('closed', 'The session was closed.'))
    await nextTurn()
    expect(sender.state.refused).toEqual([])
    expect(new UnsentMessages(storage, 'ses_1').messages).toHaveLength(1)
  })
})

describe('recent sessions', () => {
  it('are sorted by time, unique, and at most fifty', () => {
    const { storage } = inMemory()
    const recent = new RecentSessions(storage)
    for (let at = 0; at < 60; at += 1) recent.note({ id: `ses_${at}`, title: `Number ${at}`, time: at })
    recent.note({ id: 'ses_20', title: 'Twenty', time: 100 })
    expect(recent.state).toHaveLength(50)
    expect(recent.state.slice(0, 2).map(({ title }) => title)).toEqual(['Twenty', 'Number 59'])
    recent.forget('ses_20')
    expect(new RecentSessions(storage).state[0]?.title).toBe('Number 59')
  })

  it('have titles without Markdown, which end between two characters', () => {
    const recent = new RecentSessions(inMemory().storage)
    const title = (text: string): string | undefined => {
      recent.note({ id: 'a', title: text, time: 1 })
      return recent.state[0]?.title
    }
    expect(title('**重点。**怎么用 `foo()`？')).toBe('重点。怎么用 foo()？')
    expect(title(`## See [the docs](https://example.org/a)\n- please`)).toBe('See the docs please')
    expect(title('👩‍👩‍👧‍👦'.repeat(20))).toBe(`${'👩‍👩‍👧‍👦'.repeat(7)}…`)
  })

  it('have a title of one line', () => {
    const recent = new RecentSessions(inMemory().storage)
    recent.note({ id: 'a', title: `  many\n\nlines ${'x'.repeat(200)}`, time: 1 })
    recent.note({ id: 'b', title: ' \n ', time: 0 })
    expect(recent.state.map(({ title }) => title.length)).toEqual([80, 'Untitled chat'.length])
    expect(recent.state[0]?.title.startsWith('many lines x')).toBe(true)
  })

  it('follow the changes of another tab', () => {
    const { storage } = inMemory()
    const one = new RecentSessions(storage)
    const lengths: number[] = []
    one.subscribe(() => lengths.push(one.state.length))
    new RecentSessions(storage).note({ id: 'a', title: 'A', time: 1 })
    one.changed('something else')
    one.changed('parley.sessions')
    expect(lengths).toEqual([1])
  })

  it('ignore malformed stored values', () => {
    const { memory, storage } = inMemory()
    memory.setItem('parley.sessions', '[{"id":"../x","title":"a","time":1},{"id":"a","title":3,"time":1},7]')
    expect(new RecentSessions(storage).state).toEqual([])
  })
})

describe('drafts', () => {
  it('are not sent if they are too long', () => {
    expect(lengthNote('x'.repeat(512 * 1024))).toBeUndefined()
    expect(lengthNote('x'.repeat(512 * 1024 + 1))).toBe('Too long: 524,289 of 524,288 characters.')
  })

  it('receive a refused text again, and keep what was written since', () => {
    const { storage } = inMemory()
    const drafts = new Drafts(storage)
    const draft = new Draft(drafts, 'a')
    draft.bringBack('too long')
    expect([draft.state, drafts.read('a')]).toEqual(['too long', 'too long'])
    draft.write('short')
    draft.bringBack('too long')
    expect(new Draft(drafts, 'a').state).toBe('too long\n\nshort')
  })

  it('are stored for each session, and removed when empty', () => {
    const { memory, storage } = inMemory()
    const drafts = new Drafts(storage)
    drafts.write('a', 'half a sen')
    expect(new Drafts(storage).read('a')).toBe('half a sen')
    expect(drafts.read('b')).toBe('')
    drafts.write('a', '')
    expect(memory.values.size).toBe(0)
    expect(new Drafts(denied()).read('a')).toBe('')
  })

  it('of unknown sessions are removed when there are many', () => {
    const { storage } = inMemory()
    const drafts = new Drafts(storage)
    for (let at = 0; at < 101; at += 1) drafts.write(`ses_${at}`, 'x')
    drafts.trim(new Set(['ses_7']))
    expect(drafts.read('ses_7')).toBe('x')
    expect(drafts.read('ses_8')).toBe('')
  })
})
