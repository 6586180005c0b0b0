// JetStreamScatterGather on a real nats-server: which answers it collects, and that it never throws.
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { JetStreamHarness } from '../../test/jetstream-harness.ts'
import { JetStreamScatterGather } from './scatter-gather.ts'

const logger = pino({ enabled: false })
let server: NatsServer
let harness: JetStreamHarness
beforeAll(async () => {
  server = await NatsServer.start()
  harness = await JetStreamHarness.open(server)
})
afterAll(async () => {
  await harness.close()
  await server.dispose()
})

it('collects the answers of other nodes, without its own and late ones', async () => {
  const others = [await harness.join(), await harness.join(), await harness.join()]
  const own = new JetStreamScatterGather(harness.stores.connection, harness.prefix, logger)
  own.respondWith(async () => 'own')
  const [first, second, silent] = others.map(({ scatterGather }) => scatterGather)
  first?.respondWith(async (session) => ({ first: session }))
  second?.respondWith(async () => Promise.reject(new Error('no')))
  silent?.respondWith(() => new Promise(() => undefined))
  // After the flush, the server has all subscriptions.
  await Promise.all(others.map(({ connection }) => connection.nats.flush()))
  expect(await own.query('s1')).toEqual([{ first: 's1' }])
  // An installation with another prefix on the same NATS is separate.
  const stranger = new JetStreamScatterGather(harness.stores.connection, `${harness.prefix}x`, logger)
  expect(await stranger.query('s1')).toEqual([])
  own.close()
  await Promise.all(others.map((stores) => stores.close()))
  expect(await first?.query('s1')).toEqual([])
})
