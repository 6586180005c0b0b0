// Broadcasts to many readers of one session: each gets every entry once, in order, and correctly ordered with its own
// replies. Slow, leaving and returning readers do not affect the others.
import { afterEach, expect, test } from 'vitest'
import type { TestClient } from '../test/test-client.ts'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

const READERS = 40
const OUTBOX = 64 * 1024
const filler = 'x'.repeat(32 * 1024)
const long = (index: number) => `${index}:${filler};`

let harness: TransportHarness

afterEach(async () => {
  await harness.close()
})

async function open(options: HarnessOptions = {}): Promise<TestClient[]> {
  harness = await TransportHarness.open(options)
  await harness.startRun('s', 'r')
  const clients: TestClient[] = []
  for (let i = 0; i < READERS; i += 1) {
    const client = await harness.enter({ codec: i % 2 === 0 ? 'json' : 'msgpack' })
    await attach(client)
    clients.push(client)
  }
  return clients
}

async function attach(client: TestClient, after?: string): Promise<void> {
  client.send({ type: 'attach', id: 'a', session: 's', ...(after === undefined ? {} : { after }) })
  await client.next('live')
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

async function caughtUp(clients: readonly TestClient[], count: number): Promise<void> {
  await Promise.all(clients.map((client) => client.when(() => client.indexes('s').at(-1) === count - 1)))
}

test('sends every entry once and in order to each of many readers, in both codecs', async () => {
  const clients = await open()
  await harness.say('s', 'r', 0, 300)
  await caughtUp(clients, 300)
  const [first] = clients
  for (const client of clients) {
    expect(client.indexes('s')).toEqual(upTo(300))
    expect(client.entries('s').map(({ cursor, event }) => [cursor, event])).toEqual(
      first?.entries('s').map(({ cursor, event }) => [cursor, event]),
    )
  }
})

test('keeps replies in order with broadcasts', async () => {
  const clients = await open()
  const pinged = Promise.all(
    clients.map(async (client, which) => {
      for (let n = 0; n < 20; n += 1) {
        client.send({ type: 'ping', nonce: `${which}-${n}` })
        await client.next('pong')
      }
    }),
  )
  await harness.say('s', 'r', 0, 200)
  await pinged
  const cancelling = clients[3]
  const outputs = harness.say('s', 'r', 200, 260).catch((error: unknown) => error)
  cancelling?.send({ type: 'cancel', id: 'c', session: 's', run: 'r' })
  const ok = await cancelling?.next('ok', 'c')
  expect(ok?.run).toBe('r')
  await outputs
  await Promise.all(
    clients.map((client) => client.when(() => client.entries('s').some(({ event }) => event.type === 'run.ended'))),
  )
  const lengths = clients.map((client) => {
    const indexes = client.indexes('s')
    expect(indexes).toEqual(upTo(indexes.length))
    return indexes.length
  })
  expect(new Set(lengths).size).toBe(1)
  const order = cancelling?.frames.map((frame) => (frame.type === 'entry' ? frame.event.type : frame.type)) ?? []
  expect(order.indexOf('ok')).toBeGreaterThan(order.indexOf('run.ended'))
  expect(order.slice(order.indexOf('ok'))).not.toContain('run.output')
})

test('catches up paused readers when they read again, without delaying the others', async () => {
  const clients = await open({ limits: { outboxBytes: OUTBOX } })
  const paused = clients.filter((_, which) => which % 10 === 0)
  const others = clients.filter((_, which) => which % 10 !== 0)
  for (const client of paused) client.pause()
  await harness.say('s', 'r', 0, 500, long)
  await caughtUp(others, 500)
  for (const client of paused) expect(client.indexes('s').length).toBeLessThan(500)
  expect(harness.webSocket.unsentBytes).toBeLessThan(paused.length * 3 * OUTBOX)
  for (const client of paused) client.resume()
  await caughtUp(paused, 500)
  await harness.say('s', 'r', 500, 520)
  await caughtUp(clients, 520)
  for (const client of clients) expect(client.indexes('s')).toEqual(upTo(520))
}, 30_000)

test('delivers a burst above the outbox limit completely to every reader', async () => {
  const clients = await open({ limits: { outboxBytes: OUTBOX } })
  const session = 's'
  let last = await harness.stores.log.last(session, 'run.r')
  // Appended concurrently, so that they arrive in few commits and turns.
  const appends: Promise<unknown>[] = []
  for (let burst = 0; burst < 5; burst += 1) {
    const text = long(burst).repeat(8)
    const entry = harness.stores.log.append(
      session,
      'run.r',
      { type: 'run.output', run: 'r', index: burst, kind: 'text', text },
      last,
    )
    for (let other = 0; other < 20; other += 1) {
      const title = `${burst}-${other} ${filler}`
      appends.push(harness.stores.log.append(session, `meta.${burst}.${other}`, { type: 'session.updated', title }, 0))
    }
    last = (await entry).seq
  }
  await Promise.all(appends)
  const entryCount = (client: TestClient): number => client.entries('s').length
  await Promise.all(clients.map((client) => client.when(() => entryCount(client) === 2 + 5 * 21)))
  for (const client of clients) {
    const seqs = client.entries('s').map(({ cursor }) => Number(cursor.split('.')[1]))
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    expect(new Set(seqs).size).toBe(seqs.length)
  }
}, 30_000)

test('gives readers that detach, reattach or disconnect no gaps and no duplicates', async () => {
  const clients = await open()
  const appended = harness.say('s', 'r', 0, 400)
  const restless = clients.slice(0, 15).map(async (client, which) => {
    for (let round = 0; round < 6; round += 1) {
      await client.when(() => client.indexes('s').length > round * 50 + which)
      client.send({ type: 'detach', id: `d${round}`, session: 's' })
      await client.next('ok', `d${round}`)
      const { length } = client.frames
      const after = client.entries('s').at(-1)?.cursor
      client.send({ type: 'ping', nonce: 'n' })
      await client.next('pong')
      expect(client.frames.slice(length).some((frame) => frame.type === 'entry')).toBe(false)
      await attach(client, after)
    }
  })
  for (const client of clients.slice(30)) client.destroy()
  await Promise.all(restless)
  await appended
  const remaining = clients.slice(0, 30)
  await caughtUp(remaining, 400)
  for (const client of remaining) expect(client.indexes('s')).toEqual(upTo(400))
}, 30_000)
