// What 10, 100 and 1,000 nodes need of NATS, for docs/scale.md: a simulation from measured unit costs.
// `node bench/dist/scale/main.js [--nodes 10,100,1000] [--replicas 3] [--runs 250] …`
import { parseArgs } from 'node:util'
import { type Load, type Needs, simulate } from './simulation.ts'
import { UNIT_COSTS } from './unit-costs.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '10,100,1000' },
    replicas: { type: 'string', default: '3' },
    sessions: { type: 'string', default: '2000' },
    runs: { type: 'string', default: '250' },
    rate: { type: 'string', default: '20' },
    'run-seconds': { type: 'string', default: '30' },
    /** Seconds for which a reader stays. */
    stay: { type: 'string', default: '600' },
    /** Runs and messages that the log keeps, of each node. */
    kept: { type: 'string', default: '300000' },
    quota: { type: 'string', default: 'yes' },
  },
})

/** A linear congruential generator: the same result at every call. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const percent = (part: number): string => `${(part * 100).toFixed(part < 0.1 ? 1 : 0)} %`
const rounded = (value: number, digits = 2): string => value.toLocaleString('en', { maximumSignificantDigits: digits })
const gigabytes = (bytes: number): string => `${rounded(bytes / 1e9)} GB`
const ROWS: readonly (readonly [string, (needs: Needs) => string])[] = [
  ['outputs per second', ({ outputs }) => rounded(outputs, 3)],
  ['partitions', ({ partitions }) => rounded(partitions, 4)],
  ['outputs per second of the busiest stream', ({ busiestStream }) => rounded(busiestStream, 3)],
  ['written per second, all replicas', ({ written }) => `${rounded(written / 1e6)} MB`],
  ['cores of NATS for outputs', ({ natsOutputs }) => rounded(natsOutputs)],
  ['messages to all nodes, per second', ({ news }) => rounded(news, 3)],
  ['cores of NATS for them', ({ natsNews }) => rounded(natsNews)],
  ['core of a node: its outputs', ({ nodeOutputs }) => percent(nodeOutputs)],
  ['core of the busiest node: its outputs', ({ busiestNode }) => percent(busiestNode)],
  ['core of a node: messages to all nodes', ({ nodeNews }) => percent(nodeNews)],
  ['subscriptions', ({ subscriptions }) => rounded(subscriptions, 3)],
  ['memory of each NATS server for them', ({ natsSubscriptions }) => gigabytes(natsSubscriptions)],
  ['memory of each replica for stored subjects', ({ natsSubjects }) => gigabytes(natsSubjects)],
]

const counts = values.nodes.split(',').map(Number)
const needs = counts.map((nodes) => {
  const load: Load = {
    nodes,
    replicas: values.replicas === '1' ? 1 : 3,
    sessions: Number(values.sessions),
    runs: Number(values.runs),
    outputsPerSecond: Number(values.rate),
    runSeconds: Number(values['run-seconds']),
    stay: Number(values.stay),
    keptSubjects: Number(values.kept) * nodes,
    hasQuota: values.quota === 'yes',
  }
  return simulate(load, UNIT_COSTS, seeded(nodes))
})
console.log(`| nodes | ${counts.map((nodes) => nodes.toLocaleString('en')).join(' | ')} |`)
console.log(`| --- | ${counts.map(() => '--:').join(' | ')} |`)
for (const [name, show] of ROWS) console.log(`| ${name} | ${needs.map(show).join(' | ')} |`)
