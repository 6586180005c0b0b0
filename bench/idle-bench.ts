// The memory of an idle connection, each attached to a separate session, on several processes that share one port: with
// separate embedded logs, or as nodes of one NATS server. Memory is measured after a garbage collection. `bench:peers
// --only idle` compares other servers. `node bench/dist/idle-bench.js [--connections 100000] [--nodes 6] [--log
// embedded|nats]`
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { freePort } from './cluster/free-port.ts'
import { NatsServer } from './cluster/nats-server.ts'
import { BenchChild } from './harness/bench-child.ts'
import type { FromServer, ToServer } from './harness/bench-message.ts'
import { machine } from './harness/summary.ts'
import type { FromPeerReaders, ToPeerReaders } from './peers/peer-message.ts'

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '100000' },
    nodes: { type: 'string', default: '6' },
    log: { type: 'string', default: 'nats' },
  },
})
const CONNECTIONS = Number(values.connections)
const NODES = Number(values.nodes)
/** The first connections allocate shared structures and do not count. */
const FIRST = 200
const SETTLE_MS = 2_000

type Server = BenchChild<ToServer, FromServer>
type Readers = BenchChild<ToPeerReaders, FromPeerReaders>

/** Resident bytes of each server. */
async function memory(servers: readonly Server[]): Promise<number[]> {
  const sizes: number[] = []
  for (const server of servers) {
    const answer = await server.ask({ ask: 'usage', collected: true })
    if (!('rss' in answer)) throw new Error('unexpected answer of the node')
    sizes.push(answer.rss)
  }
  return sizes
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

const nats = values.log === 'nats' ? await NatsServer.start() : undefined
const port = await freePort()
const servers: Server[] = []
for (let number = 1; number <= NODES; number += 1) {
  const settings = {
    ...(nats === undefined ? {} : { PARLEY_NATS_URL: nats.url }),
    PARLEY_NODE: `node${number}`,
    PARLEY_PORT: String(port),
    PARLEY_MAX_CONNECTIONS: '20000',
    PARLEY_HEARTBEAT_MS: '120000',
  }
  const args = [JSON.stringify(settings), ...(NODES > 1 ? ['share-port'] : [])]
  const server: Server = new BenchChild('harness/parley-process.js', { args, fullYoung: true })
  await server.next()
  servers.push(server)
}

/** Reader processes, each with its own sessions and local address. */
const readers: Readers[] = []
let first = 0
async function connect(sockets: number): Promise<void> {
  const process: Readers = new BenchChild('peers/readers-process.js')
  readers.push(process)
  const from = `127.0.0.${readers.length + 1}`
  await process.ask({ ask: 'connect', peer: 'parley', port, sockets, topics: sockets, first, from })
  first += sockets
}

await connect(FIRST * NODES)
await sleep(SETTLE_MS)
const before = await memory(servers)
for (let left = CONNECTIONS, at = 0; at < NODES; at += 1) {
  const sockets = Math.ceil(left / (NODES - at))
  await connect(sockets)
  left -= sockets
}
await sleep(SETTLE_MS)
const after = await memory(servers)
console.log(
  `${machine()}. ${CONNECTIONS} idle connections on ${NODES} nodes (log: ${values.log}), each attached to a separate session.`,
)
console.table([
  {
    'kB per connection': ((sum(after) - sum(before)) / CONNECTIONS / 1_024).toFixed(2),
    'before, MB per node': (sum(before) / NODES / 2 ** 20).toFixed(0),
    'after, MB per node': (sum(after) / NODES / 2 ** 20).toFixed(0),
  },
])
for (const process of readers) process.process.kill('SIGKILL')
for (const server of servers) await server.stop({ ask: 'stop' })
await nats?.dispose()
process.exit(0)
