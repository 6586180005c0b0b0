// npm run cluster: several Parley nodes and a NATS server on loopback, to try out what happens when a node dies. All data
// is in temporary folders, and is deleted at the end.
import process from 'node:process'
import readline from 'node:readline'
import { parseArgs } from 'node:util'
import { ParleyCluster } from '../bench/dist/cluster/parley-cluster.js'
import { fetchProgram } from './fetch-program.mjs'
import { describeProgram, findProgram, NATS_SERVER } from './programs.mjs'

const HELP = `npm run cluster -- [--nodes 3] [--nats 1|3] [--port 8080] [--model demo] [--roles gateway,worker,all]

  --nodes   number of nodes, 1 to 9
  --nats    one NATS server, or a cluster of three with three replicas of every stream
  --port    port of the first node; each further node uses the next one; 0 picks free ports
  --model   the model, as in PARLEY_MODEL
  --roles   role of each node, separated by commas; all by default

Every node also gets the other settings (PARLEY_…) and the variables of model providers.
`

/** Every node has its own values for these. */
const OWN = /^PARLEY_(HOST|PORT|DATA|NODE|ROLE|NATS_.*|CONFIG|URL|TOKEN)$/
const INHERITED = /^PARLEY_|_API_KEY$|_BASE_URL$/

const say = (line) => process.stdout.write(`${line}\n`)
const options = readOptions()
if (options !== undefined) await run(options)

function readOptions() {
  const texts = { nodes: '3', nats: '1', port: '8080', model: '', roles: '' }
  const names = Object.entries(texts).map(([name, value]) => [name, { type: 'string', default: value }])
  try {
    const { values } = parseArgs({ options: { ...Object.fromEntries(names), help: { type: 'boolean' } } })
    if (values.help) return void say(HELP)
    const [nodes, nats, port] = [Number(values.nodes), Number(values.nats), Number(values.port)]
    if (!(Number.isInteger(nodes) && nodes >= 1 && nodes <= 9)) throw new Error('--nodes must be 1 to 9.')
    if (nats !== 1 && nats !== 3) throw new Error('--nats must be 1 or 3.')
    if (!(Number.isInteger(port) && port >= 0 && port + nodes <= 65_535)) throw new Error('--port must be a port.')
    const roles = values.roles === '' ? [] : values.roles.split(',')
    const inherited = Object.entries(process.env).filter(([name]) => INHERITED.test(name) && !OWN.test(name))
    const env = { ...Object.fromEntries(inherited), ...(values.model === '' ? {} : { PARLEY_MODEL: values.model }) }
    return { nodes, nats, roles, env, ...(port === 0 ? {} : { port }) }
  } catch (error) {
    process.stderr.write(`${error.message} See --help.\n`)
    process.exitCode = 2
    return undefined
  }
}

async function run(settings) {
  const problem = findProgram(NATS_SERVER, say) === undefined ? await fetchProgram(NATS_SERVER, say) : undefined
  if (problem !== undefined) {
    process.stderr.write(
      `${describeProgram(NATS_SERVER)} was not found: ${problem}\nInstall it, or set NATS_SERVER_BIN.\n`,
    )
    process.exitCode = 1
    return
  }
  say(`Starting ${settings.nats === 1 ? 'NATS' : 'three NATS servers'} and ${settings.nodes} nodes …`)
  let cluster
  try {
    cluster = await ParleyCluster.start(settings)
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
    return
  }
  let stopping = false
  for (const server of cluster.nats) say(row([server.name, server.url, 'nats', server.pid, 'running']))
  for (const node of cluster.nodes) {
    say(nodeRow(node))
    node.server.onState(() => {
      if (!stopping) say(`${new Date().toTimeString().slice(0, 8)}  ${nodeRow(node)}`)
    })
  }
  const [first] = cluster.nodes
  say(`
Open ${http(first)} in a browser, and the same session on another node; or: npm run chat -- --url ${http(first)}
Run kill -9 with a node's pid (or kill -STOP to stall it), and watch its sessions continue on another node.`)
  if (process.stdin.isTTY)
    say('Keys: 1–9 kill that node or start it again; s and a digit send SIGTERM; q stops everything.')
  await stopped(cluster)
  stopping = true
  say('Stopping …')
  await cluster.dispose()
  process.exit(0)
}

/** Resolves on Ctrl-C, SIGTERM, or q. */
async function stopped(cluster) {
  await new Promise((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
    if (!process.stdin.isTTY) return
    let gently = false
    readline.emitKeypressEvents(process.stdin)
    process.stdin.setRawMode(true)
    process.stdin.on('keypress', (_, key) => {
      if (key.name === 'q' || (key.ctrl && key.name === 'c')) return resolve()
      const node = cluster.nodes[Number(key.sequence) - 1]
      if (node !== undefined) act(node.server, gently)
      gently = key.name === 's'
    })
  })
}

function act(server, gently) {
  const done = !server.alive ? server.start() : gently ? server.stop() : server.kill()
  done.catch((error) => say(error.message))
}

function nodeRow({ name, role, server }) {
  return row([name, http({ server }), role, server.pid, server.state])
}

function http({ server }) {
  return `http://127.0.0.1:${server.port}`
}

function row([name, url, role, pid, state]) {
  return `${name.padEnd(6)} ${url.padEnd(24)} ${role.padEnd(8)} pid ${String(pid).padEnd(8)} ${state}`
}
