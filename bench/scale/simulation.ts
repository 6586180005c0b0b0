// Simulation: one second of a large cluster, from unit costs. It places sessions, runs and readers at random, as clients and the
// run queue do, and counts what each node and each stream gets. Pure: the same random numbers give the same result.
import { partitionIndex } from '@parley/server/internal/store/jetstream/streams'
import type { UnitCosts } from './unit-costs.ts'

export interface Load {
  readonly nodes: number
  readonly replicas: 1 | 3
  /** Of each node on average: sessions with a reader, and active runs. */
  readonly sessions: number
  readonly runs: number
  /** Of a run on average. */
  readonly outputsPerSecond: number
  readonly runSeconds: number
  /** Seconds for which a reader stays. */
  readonly stay: number
  /** Runs and messages that the log keeps. */
  readonly keptSubjects: number
  /** Whether users have a limit of runs, of which all nodes keep count. */
  readonly hasQuota: boolean
}

export interface Needs {
  /** Outputs in a second. */
  readonly outputs: number
  readonly partitions: number
  /** Outputs in a second of the busiest stream. */
  readonly busiestStream: number
  /** Bytes that are written in a second, over all replicas. */
  readonly written: number
  /** Cores of all NATS servers: for outputs, and for messages that all nodes get. */
  readonly natsOutputs: number
  readonly natsNews: number
  /** Messages in a second that all nodes get. */
  readonly news: number
  /** Part of one core of a node: for outputs on average and on the busiest node, and for the messages of the others. */
  readonly nodeOutputs: number
  readonly busiestNode: number
  readonly nodeNews: number
  readonly subscriptions: number
  /** Bytes of memory: of each NATS server for subscriptions, and of all replicas of a subject's stream for its index. */
  readonly natsSubscriptions: number
  readonly natsSubjects: number
}

/** A stream is used up to this part of what it can store, because load has peaks. */
const STREAM_USE = 0.5
/** In a second: signs of life without news, and the windows in which news is gathered. */
const SIGNS = 5
const SIGN_WINDOWS = 40
const PRESENCE_WINDOWS = 10
const PRESENCE_HEARTBEATS = 0.4
const NOTICE_WINDOWS = 100
/** Seconds after which a node announces all its runs again. */
const REPEAT_S = 5
/** Spread of the rates of runs: of a log-normal distribution. */
const SIGMA = 0.7

/** @param random from 0 (included) to 1 (excluded) */
export function simulate(load: Load, costs: UnitCosts, random: () => number): Needs {
  const { nodes, replicas } = load
  const sessions = nodes * load.sessions
  const runs = nodes * load.runs
  const drivers = new Float64Array(nodes)
  const readers = new Float64Array(nodes)
  const names: string[] = []
  const rates = new Float64Array(runs)
  let outputs = 0
  let elsewhere = 0
  for (let run = 0; run < runs; run += 1) {
    const rate = load.outputsPerSecond * Math.exp(SIGMA * normal(random) - SIGMA ** 2 / 2)
    const [driver, reader] = [Math.floor(random() * nodes), Math.floor(random() * nodes)]
    names.push(`session-${Math.floor(random() * sessions).toString(36)}`)
    rates[run] = rate
    drivers[driver] = (drivers[driver] ?? 0) + rate
    readers[reader] = (readers[reader] ?? 0) + rate
    if (driver !== reader) elsewhere += 1
    outputs += rate
  }
  const { partitions, busiest } = place(names, rates, costs.streamPerSecond[replicas] * STREAM_USE)
  const busy = drivers.map((rate, node) => (rate * costs.worker + (readers[node] ?? 0) * costs.gateway) / 1e6)
  const news = newsOf(load)
  // A session is followed by the node of its reader and, during a run, by the node that drives it.
  const subscriptions = sessions + elsewhere
  return {
    outputs,
    partitions,
    busiestStream: busiest,
    written: outputs * costs.outputDisk * replicas,
    natsOutputs: (outputs * costs.storeNats[replicas]) / 1e6,
    natsNews: (nodes * news.messages * nodes * costs.deliverNats) / 1e6,
    news: nodes * news.messages,
    nodeOutputs: busy.reduce((sum, part) => sum + part, 0) / nodes,
    busiestNode: Math.max(...busy),
    nodeNews: (nodes * news.cpu(costs)) / 1e6,
    subscriptions,
    natsSubscriptions: subscriptions * costs.subscriptionNats,
    natsSubjects: load.keptSubjects * costs.subjectNats,
  }
}

/** The fewest streams of which the busiest stores no more than `most`. Doubled, as an operator would. */
function place(names: readonly string[], rates: Float64Array, most: number): { partitions: number; busiest: number } {
  for (let partitions = 1; ; partitions *= 2) {
    const loads = new Float64Array(partitions)
    names.forEach((name, run) => {
      const index = partitionIndex(name, partitions)
      loads[index] = (loads[index] ?? 0) + (rates[run] ?? 0)
    })
    const busiest = Math.max(...loads)
    if (busiest <= most || partitions >= names.length) return { partitions, busiest }
  }
}

/** What one node sends to all nodes in a second, and what that costs each of them. */
function newsOf(load: Load): { readonly messages: number; cpu(costs: UnitCosts): number } {
  const begins = load.runs / load.runSeconds
  const signs = Math.max(SIGNS, used(SIGN_WINDOWS, 2 * begins))
  const presence = PRESENCE_HEARTBEATS + used(PRESENCE_WINDOWS, (2 * load.sessions) / load.stay)
  const notices = load.hasQuota ? used(NOTICE_WINDOWS, 2 * begins) + 1 / REPEAT_S : 0
  const noticedRuns = load.hasQuota ? 2 * begins + load.runs / REPEAT_S : 0
  return {
    messages: signs + presence + notices,
    cpu: (costs) =>
      signs * costs.sign + presence * costs.presence + notices * costs.notice + noticedRuns * costs.noticedRun,
  }
}

/** How many of the windows of a second have an event, if `events` come at random. */
function used(windows: number, events: number): number {
  return windows * (1 - Math.exp(-events / windows))
}

/** Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}
