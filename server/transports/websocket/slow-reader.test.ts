// Slow readers: a reader that falls behind catches up from the log, gets everything once and in order, uses limited memory,
// and does not affect the others.
import { afterEach, expect, test } from 'vitest'
import type { TestClient } from '../test/test-client.ts'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

const OUTBOX = 64 * 1024
/** Bytes of the log that a reader gets at once when it catches up. */
const PAGE = 256 * 1024
/** Number of 32 kB outputs that exceeds the kernel's buffers of a loopback connection. */
const MANY = 600
const filler = 'x'.repeat(32 * 1024)
const long = (index: number) => `${index}:${filler};`

let harness: TransportHarness

async function open(options: HarnessOptions = {}): Promise<void> {
  harness = await TransportHarness.open({ ...options, limits: { outboxBytes: OUTBOX, ...options.limits } })
}

afterEach(async () => {
  await harness.close()
})

async function attached(
  session: string,
  options: { merge?: boolean; codec?: 'json' | 'msgpack' } = {},
): Promise<TestClient> {
  const client = await harness.enter(options.codec === undefined ? {} : { codec: options.codec })
  await attach(client, session, options.merge)
  return client
}

async function attach(client: TestClient, session: string, merge = false): Promise<void> {
  client.send({ type: 'attach', id: `a-${session}`, session, merge })
  await client.next('live')
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

async function caughtUp(client: TestClient, session: string, count: number): Promise<void> {
  await client.when(() => client.indexes(session).at(-1) === count - 1)
}

for (const merge of [false, true]) {
  test(`catches up a paused reader, once and in order, when it reads again (merge: ${merge})`, async () => {
    await open()
    await harness.startRun('s', 'r')
    const slow = await attached('s', { merge })
    const quick = await attached('s')
    slow.pause()
    let most = 0
    for (let index = 0; index < MANY; index += 1) {
      await harness.say('s', 'r', index, index + 1, long)
      most = Math.max(most, harness.webSocket.unsentBytes)
    }
    await caughtUp(quick, 's', MANY)
    expect(quick.indexes('s')).toEqual(upTo(MANY))
    expect(slow.indexes('s').length).toBeLessThan(MANY)
    // The limit, and the page with which it catches up whenever the kernel takes more; each ends with a whole message.
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThan(OUTBOX + PAGE + 2 * filler.length)

    slow.resume()
    await caughtUp(slow, 's', MANY)
    expect(slow.indexes('s')).toEqual(upTo(MANY))
    expect(slow.text('s')).toBe(upTo(MANY).map(long).join(''))
    // It is live again.
    await harness.say('s', 'r', MANY, MANY + 3)
    await caughtUp(slow, 's', MANY + 3)
    expect(slow.indexes('s')).toEqual(upTo(MANY + 3))
    expect(harness.webSocket.unsentBytes).toBe(0)
  })
}

test('keeps two slow readers of different sessions and codecs apart', async () => {
  await open()
  const clients = new Map([
    ['s1', await attached('s1', { codec: 'json' })],
    ['s2', await attached('s2', { codec: 'msgpack' })],
  ])
  for (const client of clients.values()) client.pause()
  await Promise.all(
    [...clients.keys()].map(async (session) => {
      await harness.startRun(session, 'r')
      await harness.say(session, 'r', 0, MANY, (index) => `${session} ${long(index)}`)
    }),
  )
  for (const client of clients.values()) client.resume()
  for (const [session, client] of clients) {
    await caughtUp(client, session, MANY)
    expect(client.indexes(session)).toEqual(upTo(MANY))
    expect(client.text(session).startsWith(`${session} 0:`)).toBe(true)
    expect(client.entries().every((entry) => entry.session === session)).toBe(true)
  }
})

test('catches up all sessions of a slow connection', async () => {
  await open()
  const sessions = upTo(12).map((number) => `s${number}`)
  const client = await harness.enter()
  for (const session of sessions) await attach(client, session)
  client.pause()
  await Promise.all(
    sessions.map(async (session) => {
      await harness.startRun(session, 'r')
      await harness.say(session, 'r', 0, 60, long)
    }),
  )
  // Each of its four concurrent replays may have written a batch.
  expect(harness.webSocket.unsentBytes).toBeLessThan(OUTBOX + 4 * (PAGE + filler.length))
  client.resume()
  for (const session of sessions) await caughtUp(client, session, 60)
  for (const session of sessions) expect(client.indexes(session)).toEqual(upTo(60))
  await Promise.all(sessions.map((session) => harness.say(session, 'r', 60, 61)))
  for (const session of sessions) await caughtUp(client, session, 61)
})

test('misses no output if a reader falls behind repeatedly', async () => {
  await open()
  await harness.startRun('s', 'r')
  const client = await attached('s', { merge: true })
  const appending = harness.say('s', 'r', 0, MANY * 2, long)
  for (let round = 0; round < 6; round += 1) {
    client.pause()
    const before = await harness.stores.log.head('s')
    while ((await harness.stores.log.head('s')) === before) await new Promise((resolve) => setImmediate(resolve))
    client.resume()
    const seen = client.entries('s').length
    await client.when(() => client.entries('s').length > seen)
  }
  await appending
  await caughtUp(client, 's', MANY * 2)
  expect(client.indexes('s')).toEqual(upTo(MANY * 2))
})

test('resets a slow reader if the log was trimmed, and sends it the transcript', async () => {
  let now = Date.now()
  await open({ maxAgeMs: 1_000, now: () => now })
  await harness.startRun('s', 'r')
  const client = await attached('s')
  client.pause()
  await harness.say('s', 'r', 0, MANY, long)
  const texts = upTo(MANY).map(long)
  const output = { type: 'text' as const, text: texts.join(''), index: 0, lengths: texts.map(({ length }) => length) }
  await harness.append(
    's',
    'run.r',
    {
      type: 'run.ended',
      run: 'r',
      epoch: 1,
      model: 'demo',
      message: 'm-r',
      reason: 'completed',
      usage: { inputTokens: 1, outputTokens: MANY },
      next: MANY,
      output: [output],
    },
    true,
  )
  now += 60_000
  await harness.compactAndTrim('s')
  client.resume()
  expect(await client.next('attached')).toMatchObject({ id: 'a-s', reset: true })
  await client.next('live')
  const start = client.frames.findLastIndex(({ type }) => type === 'attached')
  const events = client.frames.slice(start).flatMap((frame) => (frame.type === 'entry' ? [frame.event] : []))
  expect(events.map(({ type }) => type)).toEqual(['message', 'run.ended'])
  expect(events.at(-1)).toMatchObject({ output: [{ text: output.text }] })
  await harness.append('s', 'meta', { type: 'session.updated', title: 'after' })
  await client.when(() => client.entries('s').at(-1)?.event.type === 'session.updated')
})

test('frees everything if a connection closes while it catches up', async () => {
  await open({ lingerMs: 1 })
  await harness.startRun('s', 'r')
  const client = await attached('s')
  client.pause()
  await harness.say('s', 'r', 0, MANY, long)
  client.destroy()
  await harness.webSocket.emptied(10_000)
  expect(harness.webSocket.connections).toBe(0)
  expect(harness.webSocket.unsentBytes).toBe(0)
  const other = await attached('s')
  expect(other.indexes('s')).toEqual(upTo(MANY))
})

test('closes a stalled reader with 4508, and resumes it from its cursor', async () => {
  await open({ limits: { stallMs: 300 } })
  await harness.startRun('s', 'r')
  const client = await attached('s')
  client.pause()
  await harness.say('s', 'r', 0, MANY, long)
  await harness.webSocket.emptied(10_000)
  expect(harness.webSocket.connections).toBe(0)
  client.resume()
  expect(await client.closed).toEqual({ code: 4508, reason: 'too slow for too long' })
  const received = client.indexes('s')
  expect(received).toEqual(upTo(received.length))

  const again = await harness.enter()
  const after = client.entries('s').at(-1)?.cursor ?? ''
  again.send({ type: 'attach', id: 'a', session: 's', after })
  await again.next('live')
  expect([...received, ...again.indexes('s')]).toEqual(upTo(MANY))
})

test('closes a client that never reads its replies, and limits its memory', async () => {
  await open({ limits: { commands: { perSecond: 1_000_000, burst: 1_000_000 } } })
  const client = await harness.enter()
  client.pause()
  const { socket } = client
  const ping = JSON.stringify(Array.from({ length: 256 }, () => ({ type: 'ping', nonce: 'n'.repeat(128) })))
  let most = 0
  while (harness.webSocket.connections > 0) {
    await new Promise<void>((resolve) => socket.send(ping, () => resolve()))
    most = Math.max(most, harness.webSocket.unsentBytes)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(most).toBeGreaterThan(OUTBOX)
  expect(most).toBeLessThan(4 * OUTBOX)
})

test('acknowledges a cancel after the end of the run, also on a slow connection', async () => {
  await open()
  await harness.startRun('s', 'r')
  const live = await attached('s')
  const slow = await attached('s')
  slow.pause()
  await harness.say('s', 'r', 0, MANY, long)
  slow.send({ type: 'cancel', id: 'c', session: 's' })
  await live.when(() => live.entries('s').some(({ event }) => event.type === 'run.ended'))
  live.send({ type: 'cancel', id: 'late', session: 's', run: 'r' })
  await live.next('ok', 'late')
  slow.resume()
  const ok = await slow.next('ok', 'c')
  expect(ok.run).toBe('r')
  const order = slow.frames.flatMap((frame) => {
    if (frame.type === 'ok') return ['ok']
    return frame.type === 'entry' && frame.event.type.startsWith('run.') ? [frame.event.type] : []
  })
  expect(order.indexOf('ok')).toBeGreaterThan(order.indexOf('run.ended'))
  expect(order.slice(order.indexOf('run.ended') + 1)).toEqual(['ok'])
  expect(slow.indexes('s')).toEqual(upTo(MANY))
})
