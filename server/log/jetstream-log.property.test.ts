// The JetStream log beside a model of it, over made-up histories of appends, sweeps, stops and crashes.
import { afterAll, beforeAll } from 'vitest'
import { NatsServer } from '../test/nats-server.ts'
import { sessionLogProperty } from './session-log.property.ts'
import { JetStreamHarness } from './test/jetstream-harness.ts'

let server: NatsServer

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(async () => {
  await server.dispose()
})

sessionLogProperty('The JetStream log', (retention) => JetStreamHarness.open(server, { retention }), 40)
