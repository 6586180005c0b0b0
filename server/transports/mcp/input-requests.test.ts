// Which requests for a person open while a client follows a run, and what the answers of a client stand for.
import type { Event } from '@parley/protocol'
import { describe, expect, it } from 'vitest'
import type { FoundRun } from '../../session/run-report.ts'
import { applyEntries } from '../../session/state/apply-entry.ts'
import { EMPTY_SESSION, findRun } from '../../session/state/session-state.ts'
import { commandOf, openRequests, RequestFeed } from './input-requests.ts'

const message: Event = { type: 'message', id: 'm', role: 'user', author: 'ann', content: [], policy: 'queue', run: 'r' }
const started = (epoch: number, run = 'r'): Event => ({
  type: 'run.started',
  run,
  epoch,
  mode: epoch === 1 ? 'new' : 'restart',
  model: 'demo',
  message: 'm',
  next: 0,
  ...(run === 'r' ? {} : { parent: { run: 'r', call: 'child' } }),
})
const called = (call: string, more: Partial<Extract<Event, { type: 'tool.called' }>> = {}): Event => {
  const plain = {
    input: {},
    where: 'server',
    approval: true,
    attempt: 1,
    step: 0,
    until: 0,
    next: 0,
    epoch: 1,
  } as const
  return { type: 'tool.called', run: 'r', call, name: `tool-${call}`, ...plain, ...more }
}
const decided = (call: string): Event =>
  ({ type: 'tool.decided', run: 'r', call, decision: 'approve', by: 'ann' }) as Event
const form = { type: 'object', properties: {} } as const
const asked = (call: string, question: string, run = 'r'): Event => ({
  type: 'tool.asked',
  run,
  call,
  question,
  message: 'Sure?',
  schema: form,
  until: 0,
})
const answered = (call: string, question: string): Event => ({
  type: 'tool.answered',
  run: 'r',
  call,
  question,
  action: 'cancel',
  by: 'server',
})
const asking = called('child', { approval: false, child: { run: 'below', agent: 'writer' } as never })

function found(events: readonly Event[]): FoundRun {
  const entries = events.map((event, at) => {
    const subject =
      event.type === 'message'
        ? `in.${event.id}`
        : 'call' in event
          ? `tool.${event.call}`
          : `run.${'run' in event ? event.run : ''}`
    return { seq: at + 1, time: 0, subject, event }
  })
  const state = applyEntries(EMPTY_SESSION, entries as never)
  const record = findRun(state, 'r')
  if (record === undefined) throw new Error('there is no run')
  return { state, record }
}

/** The keys that open while the events are followed. @param known the number of events that the node knows at first */
function opened(events: readonly Event[], known: number): (string | undefined)[] {
  const feed = new RequestFeed(found(events.slice(0, known)))
  return events.flatMap((event, at) => feed.take(at + 1, event, false)?.key ?? [])
}

describe('the requests of a run', () => {
  it('open with the call or the question, whether the node knew them before or not', () => {
    const events = [message, started(1), called('a'), called('b', { approval: false }), asked('b', 'q')]
    for (let known = 1; known <= events.length; known += 1) expect(opened(events, known)).toEqual(['a', 'b.q'])
  })

  it('do not open if the node knows the answer', () => {
    const b = called('b', { approval: false })
    const events = [
      message,
      started(1),
      called('a'),
      decided('a'),
      b,
      asked('b', 'q'),
      answered('b', 'q'),
      asked('b', 'q2'),
    ]
    expect(opened(events, events.length)).toEqual(['b.q2'])
  })

  it('open once, and also if a device asks for an approval that the call did not need before', () => {
    const again = called('a', { attempt: 2 })
    expect(opened([message, started(1), called('a', { approval: false }), again, again], 1)).toEqual(['a'])
  })

  it('do not open for a call of a replaced driver', () => {
    expect(opened([message, started(1), started(2), called('a'), called('b', { epoch: 2 })], 1)).toEqual(['b'])
  })

  it('are also those of the child runs for which it waits', () => {
    const pay = called('pay', { run: 'below' })
    const events = [message, started(1), asking, started(1, 'below'), pay, asked('more', 'q', 'below')]
    expect(openRequests(found(events)).map(({ key }) => key)).toEqual(['pay'])
    for (let known = 1; known <= events.length; known += 1) expect(opened(events, known)).toEqual(['pay'])
    const ended: Event = { type: 'tool.result', run: 'r', call: 'child', output: 'done', by: 'server' } as Event
    const end = {
      type: 'run.ended',
      run: 'below',
      reason: 'completed',
      usage: { inputTokens: 1, outputTokens: 1 },
      next: 0,
    }
    const all = [...events, end as Event, ended]
    expect(openRequests(found(all))).toEqual([])
    expect(opened(all, all.length)).toEqual([])
  })
})

describe('the requests that a client has', () => {
  /** @param seen the number of events that the client has from an earlier stream */
  const closed = (events: readonly Event[], known: number, seen: number): (string | undefined)[] => {
    const feed = new RequestFeed(found(events.slice(0, known)))
    return events.flatMap((event, at) => {
      feed.take(at + 1, event, at < seen)
      const keys = feed.closedBy(event)
      return at < seen ? [] : keys
    })
  }
  const b = called('b', { approval: false })
  const result = { type: 'tool.result', run: 'r', call: 'b', output: 1, by: 'server' } as Event
  const events = [
    message,
    started(1),
    called('a'),
    decided('a'),
    b,
    asked('b', 'q'),
    answered('b', 'q'),
    asked('b', 'r'),
    result,
  ]

  it('close with an answer, or with the result of their call', () => {
    expect(closed(events, 1, 0)).toEqual(['a', 'b.q', 'b.r'])
    // It resumes after the first two were asked.
    expect(closed(events, 8, 3)).toEqual(['a', 'b.r'])
    expect(closed(events, 9, 6)).toEqual(['b.q'])
  })

  it('do not close if it was never asked', () => {
    expect(closed(events, 9, 0)).toEqual([])
  })
})

describe('the answer of a client', () => {
  const of = (key: string, answer: unknown) => commandOf({ session: 's', user: 'ann' }, key, answer)

  it('decides about a call', () => {
    const content = { approve: true, reason: 'x'.repeat(2_000) }
    expect(of('c', { action: 'accept', content })).toMatchObject({
      type: 'tool.decide',
      session: 's',
      call: 'c',
      decision: 'approve',
      reason: 'x'.repeat(1_000),
    })
    expect(of('c', { action: 'accept', content: { approve: false, reason: '' } })).not.toHaveProperty('reason')
    for (const action of ['decline', 'cancel']) expect(of('c', { action })).toMatchObject({ decision: 'deny' })
  })

  it('answers a question, with its action and the values of its form', () => {
    const content = { n: 1, ok: true, names: ['a'], text: 'b' }
    expect(of('c.q', { action: 'accept', content })).toMatchObject({
      type: 'tool.answer',
      call: 'c',
      question: 'q',
      action: 'accept',
      content,
    })
    expect(of('c.q', { action: 'accept' })).toMatchObject({ content: {} })
    for (const action of ['decline', 'cancel']) expect(of('c.q', { action, content })).not.toHaveProperty('content')
  })

  it('is one command for one request', () => {
    const ids = ['c', 'c.q', 'c.r', 'd'].map((key) => of(key, { action: 'cancel' })?.id)
    expect(new Set(ids).size).toBe(4)
    expect(of('c.q', { action: 'accept' })?.id).toBe(ids[1])
  })

  it.each([
    ['c', undefined],
    ['c', { action: 'none' }],
    ['c', { action: 'accept' }],
    ['c', { action: 'accept', content: { approve: 'yes' } }],
    ['c.q', { action: 'accept', content: ['a'] }],
    ['c.q', { action: 'accept', content: { n: null } }],
  ])('is malformed: %s %j', (key, answer) => {
    expect(of(key, answer)).toBeUndefined()
  })
})
