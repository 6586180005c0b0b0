// Every transport combined with every other, on real nodes: one with the embedded log, and two with NATS.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { type Nodes, transportContract } from '../transports/test/transport.contract.ts'
import { TRANSPORTS } from './transports/all-transports.ts'

/** All requests come from one address. */
const SETTINGS = { PARLEY_REQUEST_RATE: '100000', PARLEY_REQUEST_BURST: '100000' }

const folder = mkdtempSync(join(tmpdir(), 'parley-transports-'))
const config = join(folder, 'parley.config.json')
writeFileSync(config, JSON.stringify({ agents: { lead: { agents: ['helper'] }, helper: {} } }))
afterAll(() => rmSync(folder, { recursive: true }))

transportContract('the embedded log', TRANSPORTS, async (): Promise<Nodes> => {
  const server = await ServerProcess.start({ ...SETTINGS, PARLEY_CONFIG: config })
  return { origins: [originOf(server)], close: () => server.dispose() }
})

transportContract('NATS', TRANSPORTS, async (): Promise<Nodes> => {
  const nats = await NatsServer.start()
  const settings = { ...SETTINGS, PARLEY_CONFIG: config, PARLEY_NATS_URL: nats.url }
  const servers = await Promise.all([
    ServerProcess.start({ ...settings, PARLEY_NODE: 'one' }),
    ServerProcess.start({ ...settings, PARLEY_NODE: 'two' }),
  ])
  return {
    origins: servers.map(originOf),
    async close() {
      await Promise.all(servers.map((server) => server.dispose()))
      await nats.dispose()
    },
  }
})

function originOf({ port }: ServerProcess): string {
  return `http://127.0.0.1:${port}`
}
