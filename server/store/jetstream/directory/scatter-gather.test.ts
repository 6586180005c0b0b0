// The roll call over a real nats-server: who answers, who is not waited for, and that none of it throws.
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

it('brings what the other nodes answer, not what one says itself, and not what comes too late', async () => {
  const others = [await harness.join(), await harness.join(), await harness.join()]
  const own = new JetStreamScatterGather(harness.stores.connection, harness.prefix, logger)
  own.answerWith(async () => 'own')
  const [first, second, silent] = others.map(({ scatterGather }) => scatterGather)
  first?.answerWith(async (session) => ({ first: session }))
  second?.answerWith(async () => Promise.reject(new Error('no')))
  silent?.answerWith(() => new Promise(() => undefined))
  // What is asked before the server has heard of a subscription does not come to it.
  await Promise.all(others.map(({ connection }) => connection.nats.flush()))
  expect(await own.ask('s1')).toEqual([{ first: 's1' }])
  // Another system on the same NATS has its own.
  const stranger = new JetStreamScatterGather(harness.stores.connection, `${harness.prefix}x`, logger)
  expect(await stranger.ask('s1')).toEqual([])
  own.close()
  await Promise.all(others.map((stores) => stores.close()))
  expect(await first?.ask('s1')).toEqual([])
})
