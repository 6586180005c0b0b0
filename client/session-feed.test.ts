// A session's feed that has no stream of its own: where there are more sessions than streams, or nobody looks.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HttpCaller } from './http-caller.ts'
import type { Loss } from './link.ts'
import { type FeedPorts, SessionFeed } from './session-feed.ts'
import { Slots } from './slots.ts'
import { hurried } from './test/hurried.ts'
import { ScriptedHttp } from './test/scripted-http.ts'
import { cursor, entry, message } from './test/scripted-server.ts'
import { DEFAULT_DOORS } from './transport-choice.ts'

let server: ScriptedHttp
let feeds: SessionFeed[]
let heard: string[]
let losses: Loss[]
let hidden: boolean

beforeEach(async () => {
  server = await ScriptedHttp.start()
  feeds = []
  heard = []
  losses = []
  hidden = false
})
afterEach(async () => {
  for (const feed of feeds) feed.close()
  await server.close()
})

const clock = hurried(50)

function read(session: string, slots: Slots): SessionFeed {
  const ports: FeedPorts = {
    caller: new HttpCaller({ url: server.url, token: async () => undefined, fetch, clock, connection: 'con_1' }),
    clock,
    policy: DEFAULT_DOORS,
    reconnect: { baseMs: 5, maxMs: 20 },
    slots,
    isHidden: () => hidden,
    streams: true,
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

describe('a feed without a stream', () => {
  it('polls now and then, without waiting, and takes the stream that becomes free', async () => {
    const slots = new Slots(1)
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
      poll.json({
        cursor: cursor(1),
        entries: after === null ? [entry('b', 1, message('m', 'r'))] : [],
        live: true,
        role: 'owner',
      })
    }
    first.close()
    const next = await server.expect('GET', '/b/events')
    if (next.headers.accept === 'application/json')
      next.json({ cursor: cursor(1), entries: [], live: true, role: 'owner' })
    const taken = next.headers.accept === 'application/json' ? await server.expect('GET', '/b/events') : next
    expect(taken.headers.accept).toBe('text/event-stream')
    expect(heard.filter((frame) => frame.startsWith('b'))).toEqual(['b attached', 'b entry', 'b live'])
  })

  it('does not blame a stream that it has not for what polls on the side bring', async () => {
    const feed = read('a', new Slots(0))
    const poll = await server.expect('GET', '/a/events')
    poll.json({ cursor: cursor(1), entries: [], live: true, role: 'owner' })
    let asks = 0
    const answer = async (): Promise<void> => {
      const ask = await server.expect('GET', '/a/events')
      asks += 1
      ask.json({
        cursor: cursor(1 + asks),
        entries: [entry('a', 1 + asks, message(`m${asks}`, 'r'))],
        live: true,
        role: 'owner',
      })
      if (asks < 40) await answer()
    }
    const answered = answer()
    for (let place = 2; place < 30; place += 1) {
      await new Promise<void>((resolve) => feed.reach(cursor(place), resolve))
    }
    await answered
    expect(losses).toEqual([])
  })

  it('gives its stream back when nobody looks, and takes one when somebody does', async () => {
    const feed = read('a', new Slots(1))
    const stream = await server.expect('GET', '/a/events')
    stream.attached('a', 1, [message('m1', 'r')])
    await new Promise<void>((resolve) => feed.reach(cursor(1), resolve))
    hidden = true
    feed.yield()
    const poll = await server.expect('GET', '/a/events')
    expect([poll.headers.accept, poll.query.get('after')]).toEqual(['application/json', cursor(1)])
    await stream.gone()
    poll.json({ cursor: cursor(2), entries: [entry('a', 2, message('m2', 'r'))], live: true, role: 'owner' })
    await new Promise<void>((resolve) => feed.reach(cursor(2), resolve))
    hidden = false
    feed.check()
    const next = await server.expect('GET', '/a/events')
    expect([next.headers.accept, next.query.get('after')]).toEqual(['text/event-stream', cursor(2)])
    expect(losses).toEqual([])
  })
})
