// Going away: clients are told, may finish, and are sent elsewhere; nobody is let in any more.
import { afterEach, expect, test } from 'vitest'
import { UpgradeRefused } from '../test/test-client.ts'
import { TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness

afterEach(async () => {
  await harness.close()
})

test('a draining door tells everybody, refuses new messages and clients, and lets the rest go on', async () => {
  harness = await TransportHarness.open()
  await harness.startRun('s', 'r')
  const clients = await Promise.all(Array.from({ length: 20 }, () => harness.enter()))
  const [client] = clients
  client?.send({ type: 'attach', id: 'a', session: 's' })
  await client?.next('live')
  harness.door.drain('the node stops', 4_000)
  const delays = await Promise.all(clients.map(async (each) => (await each.next('goaway')).reconnectAfterMs))
  for (const delay of delays) {
    expect(delay).toBeGreaterThanOrEqual(0)
    expect(delay).toBeLessThan(4_000)
  }
  // Not all at once.
  expect(new Set(delays).size).toBeGreaterThan(10)

  await expect(harness.connect()).rejects.toEqual(new UpgradeRefused(503))
  client?.send({ type: 'send', id: 'm', session: 's', content: 'hi' })
  expect(await client?.next('error', 'm')).toMatchObject({ code: 'going_away', retryable: true })
  await harness.say('s', 'r', 0, 3)
  await client?.when(() => client.indexes('s').length === 3)
  client?.send({ type: 'cancel', id: 'c', session: 's' })
  expect(await client?.next('ok', 'c')).toMatchObject({ run: 'r' })

  harness.door.close()
  for (const each of clients) expect(await each.closed).toEqual({ code: 4503, reason: 'going away' })
  await harness.door.emptied(1_000)
  expect(harness.door.connections).toBe(0)
})

test('the door is empty as soon as the last one has left', async () => {
  harness = await TransportHarness.open()
  const client = await harness.enter()
  harness.door.drain('the node stops', 1_000)
  await client.next('goaway')
  const emptied = harness.door.emptied(60_000)
  client.socket.close()
  await emptied
  expect(harness.door.connections).toBe(0)
})

test('a client that has not been welcomed yet is told as well', async () => {
  harness = await TransportHarness.open()
  const client = await harness.connect()
  harness.door.drain('the node stops', 1_000)
  expect(await client.next('goaway')).toMatchObject({ reason: 'the node stops' })
  client.send({ type: 'hello' }, { type: 'send', id: 'm', session: 's', content: 'hi' })
  expect(await client.next('error', 'm')).toMatchObject({ code: 'going_away' })
})
