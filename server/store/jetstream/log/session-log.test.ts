// The JetStream log passes the contract of a session log.
import { afterAll, beforeAll } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { sessionLogContract } from '../../contracts/session-log.contract.ts'
import { JetStreamHarness } from '../../test/jetstream-harness.ts'

let server: NatsServer

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(async () => {
  await server.dispose()
})

sessionLogContract('JetStream', (options = {}) => JetStreamHarness.open(server, options))
