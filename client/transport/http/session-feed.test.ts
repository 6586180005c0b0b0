// A session's feed that has no stream of its own: where there are more sessions than streams, or nobody looks.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Semaphore } from '../../semaphore.ts'
import { HandClock } from '../../test/hand-clock.ts'
import { ScriptedHttp } from '../../test/scripted-http.ts'
import { cursor, ended, entry, message, says, started } from '../../test/scripted-server.ts'
import { DEFAULT_DOORS } from '../door.ts'
import type { Loss } from '../transport.ts'
import { HttpCaller } from './http-caller.ts'
import { type FeedPorts, SessionFeed } from './session-feed.ts'

let server: ScriptedHttp
let feeds: SessionFeed[]
let heard: string[]
let losses: Loss[]
let hidden: boolean
let clock: HandClock

beforeEach(async () => {
  server = await ScriptedHttp.start()
  feeds = []
  heard = []
  losses = []
  hidden = false
  clock = new HandClock()
})
afterEach(async () => {
  for (const feed of feeds) feed.close()
  await server.close()
})

function read(session: string, slots: Semaphore): SessionFeed {
  const ports: FeedPorts = {
    caller: new HttpCaller({ url: server.url, token: async () => undefined, fetch, clock, connection: 'con_1' }),
    clock,
    policy: DEFAULT_DOORS,
    reconnect: { baseMs: 5, maxMs: 20 },
    slots,
    isHidden: () => hidden,
    streams: true,
    door: 'sse',
    heartbeatMs: 15_000,
    frames: (frames) => {
      heard.push(...frames.map((frame) => `${session} ${frame.type}`))
    },
    lost: (loss) => losses.push(loss),
    returned: () => undefined,
  }
  const feed = new SessionFeed({ type: 'attach', id: 'a1', session, merge: true }, ports)
  feeds.push(feed)
  return feed
}

describe('a feed whose stream does not begin', () => {
  it('is attached by a poll, and brings what there is, until it is clear that the stream is of no use', async () => {
    read('a', new Semaphore(1))
    const stream = await server.expect('GET', '/a/events')
    expect(stream.headers.accept).toBe('text/event-stream')
    await clock.armed(1_000)
    clock.advance(1_000)
    const first = await server.expect('GET', '/a/events')
    expect(first.headers.accept).toBe('application/json')
    first.json({ cursor: cursor(1), entries: [entry('a', 1, message('m1', 'r'))], live: true, role: 'owner' })
    await clock.armed(1_000)
    expect(heard).toEqual(['a attached', 'a entry', 'a live'])
    clock.advance(1_000)
    const second = await server.expect('GET', '/a/events')
    expect(second.query.get('after')).toBe(cursor(1))
    second.json({ cursor: cursor(2), entries: [entry('a', 2, message('m2', 'r'))], live: true, role: 'owner' })
    await clock.armed(1_000)
    clock.advance(2_000)
    await stream.gone()
    expect(losses).toMatchObject([{ kind: 'stalled' }])
    expect(heard).toEqual(['a attached', 'a entry', 'a live', 'a entry'])
  })

  it('goes on with the stream when that begins late, and asks anew where the two do not fit together', async () => {
    const feed = read('a', new Semaphore(1))
    const stream = await server.expect('GET', '/a/events')
    await clock.armed(1_000)
    clock.advance(1_000)
    const side = await server.expect('GET', '/a/events')
    const run = [message('m1', 'r'), started('r', 'm1')]
    const two = { ...says('r', 0, '0 1'), count: 2 } as ReturnType<typeof says>
    const entries = [...run, two].map((event, i) => entry('a', 1 + i, event))
    side.json({ cursor: cursor(3), entries, live: true, role: 'owner' })
    await new Promise<void>((resolve) => feed.reach(cursor(3), resolve))
    // Joined otherwise: the first two of its three outputs are held already.
    const three = { ...says('r', 0, '0 1 2'), count: 3 } as ReturnType<typeof says>
    stream.stream()
    stream.frame({ type: 'attached', id: 'x', session: 'a', cursor: cursor(4), role: 'owner' })
    stream.entries('a', 1, run)
    stream.entries('a', 4, [three])
    const next = await server.expect('GET', '/a/events')
    expect([next.headers.accept, next.query.get('after')]).toEqual(['text/event-stream', cursor(3)])
    next.attached('a', 4, [says('r', 2, ' 2'), ended('r', 3)])
    await new Promise<void>((resolve) => feed.reach(cursor(5), resolve))
    expect(heard.filter((frame) => frame !== 'a live')).toEqual(['a attached', ...Array(5).fill('a entry')])
    expect(losses).toEqual([])
  })
})

describe('a feed without a stream', () => {
  it('polls now and then, without waiting, and takes the stream that becomes free', async () => {
    const slots = new Semaphore(1)
    const first = read('a', slots)
    const stream = await server.expect('GET', '/a/events')
    stream.attached('a', 1)
    read('b', slots)
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
    expect(next.headers.accept).toBe('text/event-stream')
    expect(heard.filter((frame) => frame.startsWith('b'))).toEqual(['b attached', 'b entry', 'b live'])
  })

  it('does not blame a stream that it has not for what polls on the side bring', async () => {
    const feed = read('a', new Semaphore(0))
    let over = false
    let asks = 0
    const answer = async (): Promise<void> => {
      const ask = await server.expect('GET', '/a/events')
      if (over) return
      asks += 1
      const entries = [entry('a', asks, message(`m${asks}`, 'r'))]
      ask.json({ cursor: cursor(asks), entries, live: true, role: 'owner' })
      await answer()
    }
    const answered = answer()
    feed.reach(cursor(1_000), () => undefined)
    // Polls in their turn, and polls on the side, for much longer than a stream may bring nothing.
    for (let turn = 0; turn < 15; turn += 1) {
      await clock.armed(2_000)
      await clock.armed(1_000, 1_500)
      clock.advance(2_000)
    }
    expect(asks).toBeGreaterThan(15)
    expect(losses).toEqual([])
    over = true
    clock.advance(2_000)
    await answered
  })

  it('gives its stream back when nobody looks, and takes one when somebody does', async () => {
    const feed = read('a', new Semaphore(1))
    const stream = await server.expect('GET', '/a/events')
    stream.attached('a', 1, [message('m1', 'r')])
    await new Promise<void>((resolve) => feed.reach(cursor(1), resolve))
    hidden = true
    feed.yield()
    const poll = await server.expect('GET', '/a/events')
    expect([poll.headers.accept, poll.query.get('after')]).toEqual(['application/json', cursor(1)])
    await stream.gone()
    poll.json({ cursor: cursor(2), entries: [entry('a', 2, message('m2', 'r'))], live: true, role: 'owner' })
    await clock.armed(2_000)
    hidden = false
    feed.check()
    const next = await server.expect('GET', '/a/events')
    expect([next.headers.accept, next.query.get('after')]).toEqual(['text/event-stream', cursor(2)])
    expect(losses).toEqual([])
  })
})
