// Draining: clients are asked to reconnect elsewhere and may finish; new clients are refused.
import { afterEach, expect, test } from 'vitest'
import { UpgradeRefused } from '../test/test-client.ts'
import { TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness

afterEach(async () => {
  await harness.close()
})

test('sends goaway to every client, refuses new messages and clients, and keeps the rest working', async () => {
  harness = await TransportHarness.open()
  await harness.startRun('s', 'r')
  const clients = await Promise.all(Array.from({ length: 20 }, () => harness.enter()))
  const [client] = clients
  client?.send({ type: 'attach', id: 'a', session: 's' })
  await client?.next('live')
  harness.webSocket.drain('the node is shutting down', 4_000)
  const delays = await Promise.all(clients.map(async (each) => (await each.next('goaway')).reconnectAfterMs))
  for (const delay of delays) {
    expect(delay).toBeGreaterThanOrEqual(0)
    expect(delay).toBeLessThan(4_000)
  }
  // The delays are spread.
  expect(new Set(delays).size).toBeGreaterThan(10)

  await expect(harness.connect()).rejects.toEqual(new UpgradeRefused(503))
  client?.send({ type: 'send', id: 'm', session: 's', content: 'hi' })
  expect(await client?.next('error', 'm')).toMatchObject({ code: 'going_away', retryable: true })
  await harness.say('s', 'r', 0, 3)
  await client?.when(() => client.indexes('s').length === 3)
  client?.send({ type: 'cancel', id: 'c', session: 's' })
  expect(await client?.next('ok', 'c')).toMatchObject({ run: 'r' })

  harness.webSocket.close()
  for (const each of clients) expect(await each.closed).toEqual({ code: 4503, reason: 'going away' })
  await harness.webSocket.emptied(1_000)
  expect(harness.webSocket.connections).toBe(0)
})

test('is empty as soon as the last client has left', async () => {
  harness = await TransportHarness.open()
  const client = await harness.enter()
  harness.webSocket.drain('the node is shutting down', 1_000)
  await client.next('goaway')
  const emptied = harness.webSocket.emptied(60_000)
  client.socket.close()
  await emptied
  expect(harness.webSocket.connections).toBe(0)
})

test('sends goaway to a client that has not been welcomed yet', async () => {
  harness = await TransportHarness.open()
  const client = await harness.connect()
  harness.webSocket.drain('the node is shutting down', 1_000)
  expect(await client.next('goaway')).toMatchObject({ reason: 'the node is shutting down' })
  client.send({ type: 'hello' }, { type: 'send', id: 'm', session: 's', content: 'hi' })
  expect(await client.next('error', 'm')).toMatchObject({ code: 'going_away' })
})
