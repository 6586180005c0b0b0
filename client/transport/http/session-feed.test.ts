// Tests a session's feed without a stream: with more sessions than streams, or in a hidden page.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Semaphore } from '../../semaphore.ts'
import { ManualClock } from '../../test/manual-clock.ts'
import { ScriptedHttp } from '../../test/scripted-http.ts'
import { cursor, ended, entry, message, says, started } from '../../test/scripted-server.ts'
import { DEFAULT_POLICY } from '../door.ts'
import type { Loss } from '../transport.ts'
import { HttpCaller } from './http-caller.ts'
import { type FeedPorts, SessionFeed } from './session-feed.ts'

const STREAM = 'text/event-stream, application/problem+json'

let server: ScriptedHttp
let feeds: SessionFeed[]
let received: string[]
let losses: Loss[]
let hidden: boolean
let clock: ManualClock

beforeEach(async () => {
  server = await ScriptedHttp.start()
  feeds = []
  received = []
  losses = []
  hidden = false
  clock = new ManualClock()
})
afterEach(async () => {
  for (const feed of feeds) feed.close()
  await server.close()
})

function read(session: string, semaphore: Semaphore): SessionFeed {
  const ports: FeedPorts = {
    caller: new HttpCaller({ url: server.url, token: async () => undefined, fetch, clock, connection: 'con_1' }),
    clock,
    policy: DEFAULT_POLICY,
    reconnect: { baseMs: 5, maxMs: 20 },
    acquire: async () => (!hidden && semaphore.tryAcquire() ? () => semaphore.release() : undefined),
    usesStream: true,
    kind: 'sse',
    heartbeatMs: 15_000,
    frames: (frames) => {
      received.push(...frames.map((frame) => `${session} ${frame.type}`))
    },
    lost: (loss) => losses.push(loss),
    resumed: () => undefined,
  }
  const feed = new SessionFeed({ type: 'attach', id: 'a1', session, merge: true }, ports)
  feeds.push(feed)
  return feed
}

describe('a feed whose stream does not start', () => {
  it('attaches by a poll, and delivers entries until it is clear that the stream is stalled', async () => {
    read('a', new Semaphore(1))
    const stream = await server.expect('GET', '/a/events')
    expect(stream.headers.accept).toBe(STREAM)
    await clock.armed(1_000)
    clock.advance(1_000)
    const first = await server.expect('GET', '/a/events')
    expect(first.headers.accept).toBe('application/json')
    first.json({ cursor: cursor(1), entries: [entry('a', 1, message('m1', 'r'))], live: true, role: 'owner' })
    await clock.armed(1_000)
    expect(received).toEqual(['a attached', 'a entry', 'a live'])
    clock.advance(1_000)
    const second = await server.expect('GET', '/a/events')
    expect(second.query.get('after')).toBe(cursor(1))
    second.json({ cursor: cursor(2), entries: [entry('a', 2, message('m2', 'r'))], live: true, role: 'owner' })
    await clock.armed(1_000)
    clock.advance(2_000)
    await stream.gone()
    expect(losses).toMatchObject([{ kind: 'stalled' }])
    expect(received).toEqual(['a attached', 'a entry', 'a live', 'a entry'])
  })

  it('continues with a stream that starts late, and requests entries again that were merged differently', async () => {
    const feed = read('a', new Semaphore(1))
    const stream = await server.expect('GET', '/a/events')
    await clock.armed(1_000)
    clock.advance(1_000)
    const side = await server.expect('GET', '/a/events')
    const run = [message('m1', 'r'), started('r', 'm1')]
    const two = { ...says('r', 0, '0 1'), count: 2 } as ReturnType<typeof says>
    const entries = [...run, two].map((event, i) => entry('a', 1 + i, event))
    side.json({ cursor: cursor(3), entries, live: true, role: 'owner' })
    await new Promise<void>((resolve) => feed.whenReached(cursor(3), resolve))
    // Merged differently: the feed already has the first two of the three outputs.
    const three = { ...says('r', 0, '0 1 2'), count: 3 } as ReturnType<typeof says>
    stream.stream()
    stream.frame({ type: 'attached', id: 'x', session: 'a', cursor: cursor(4), role: 'owner' })
    stream.entries('a', 1, run)
    stream.entries('a', 4, [three])
    const next = await server.expect('GET', '/a/events')
    expect([next.headers.accept, next.query.get('after')]).toEqual([STREAM, cursor(3)])
    next.attached('a', 4, [says('r', 2, ' 2'), ended('r', 3)])
    await new Promise<void>((resolve) => feed.whenReached(cursor(5), resolve))
    expect(received.filter((frame) => frame !== 'a live')).toEqual(['a attached', ...Array(5).fill('a entry')])
    expect(losses).toEqual([])
  })
})

describe('a feed without a stream', () => {
  it('polls periodically without waiting, and uses a stream that becomes free', async () => {
    const semaphore = new Semaphore(1)
    const first = read('a', semaphore)
    const stream = await server.expect('GET', '/a/events')
    stream.attached('a', 1)
    read('b', semaphore)
    for (const after of [null, cursor(1), cursor(1)]) {
      const poll = await server.expect('GET', '/b/events')
      expect([poll.headers.accept, poll.query.get('wait'), poll.query.get('after')]).toEqual([
        'application/json',
        null,
        after,
      ])
      const entries = after === null ? [entry('b', 1, message('m', 'r'))] : []
      poll.json({ cursor: cursor(1), entries, live: true, role: 'owner' })
      await clock.armed(2_000)
      clock.advance(2_000)
    }
    first.close()
    let next = await server.expect('GET', '/b/events')
    while (next.headers.accept === 'application/json') {
      next.json({ cursor: cursor(1), entries: [], live: true, role: 'owner' })
      await clock.armed(2_000)
      clock.advance(2_000)
      next = await server.expect('GET', '/b/events')
    }
    expect(next.headers.accept).toBe(STREAM)
    expect(received.filter((frame) => frame.startsWith('b'))).toEqual(['b attached', 'b entry', 'b live'])
  })

  it('does not report a stalled stream if it has none', async () => {
    const feed = read('a', new Semaphore(0))
    let isOver = false
    let asks = 0
    const answer = async (): Promise<void> => {
      const ask = await server.expect('GET', '/a/events')
      if (isOver) return
      asks += 1
      const entries = [entry('a', asks, message(`m${asks}`, 'r'))]
      ask.json({ cursor: cursor(asks), entries, live: true, role: 'owner' })
      await answer()
    }
    const answered = answer()
    feed.whenReached(cursor(1_000), () => undefined)
    // Regular polls and parallel polls, for much longer than a stream may deliver nothing.
    for (let turn = 0; turn < 15; turn += 1) {
      await clock.armed(2_000)
      await clock.armed(1_000, 1_500)
      clock.advance(2_000)
    }
    expect(asks).toBeGreaterThan(15)
    expect(losses).toEqual([])
    isOver = true
    clock.advance(2_000)
    await answered
  })

  it('releases its stream in a hidden page, and gets one in a visible page', async () => {
    const feed = read('a', new Semaphore(1))
    const stream = await server.expect('GET', '/a/events')
    stream.attached('a', 1, [message('m1', 'r')])
    await new Promise<void>((resolve) => feed.whenReached(cursor(1), resolve))
    hidden = true
    feed.releaseStream()
    const poll = await server.expect('GET', '/a/events')
    expect([poll.headers.accept, poll.query.get('after')]).toEqual(['application/json', cursor(1)])
    await stream.gone()
    poll.json({ cursor: cursor(2), entries: [entry('a', 2, message('m2', 'r'))], live: true, role: 'owner' })
    await clock.armed(2_000)
    hidden = false
    feed.check()
    const next = await server.expect('GET', '/a/events')
    expect([next.headers.accept, next.query.get('after')]).toEqual([STREAM, cursor(2)])
    expect(losses).toEqual([])
  })
})
