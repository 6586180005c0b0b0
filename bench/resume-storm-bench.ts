// Resume storm: thousands of attached sessions with active runs lose their node (kill -9) and reconnect to the two
// other nodes. Measures the time until all are live again, without the clients' own jitter, and the CPU of NATS, and
// checks that nothing is lost. `node bench/dist/resume-storm-bench.js [--sessions 5000] [--jitter 1000] [--role
// gateway]`
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ParleyCluster } from './cluster/parley-cluster.ts'
import type { FromStorm, StormReport, ToStorm } from './storm-process.ts'

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '5000' },
    /** Milliseconds over which clients spread their reconnects. */
    jitter: { type: 'string', default: '1000' },
    /** The role of the killed node; with `all` it also drives a third of the runs. */
    role: { type: 'string', default: 'all' },
    nats: { type: 'string', default: '1' },
    /** Tokens per second of each run. */
    rate: { type: 'string', default: '0.2' },
    seconds: { type: 'string', default: '60' },
  },
})
const SESSIONS = Number(values.sessions)
const RATE = Number(values.rate)
const JITTER_MS = Number(values.jitter)
/** Runs last until well after the storm. */
const COUNT = Math.ceil(RATE * Number(values.seconds))
const PER_PROCESS = 5_000
const CALM_MS = 3_000
const LIVE_MS = 60_000
const POLL_MS = 50

class Storm {
  readonly process: ChildProcess = fork(new URL('./storm-process.js', import.meta.url), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })

  async ask<T extends FromStorm>(message: ToStorm): Promise<T> {
    const answer = once(this.process, 'message')
    this.process.send(message)
    return (await answer)[0] as T
  }
}

const cluster = await ParleyCluster.start({
  nats: values.nats === '3' ? 3 : 1,
  nodes: 3,
  roles: [values.role],
  env: {
    PARLEY_MAX_CONNECTIONS: '19000',
    PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '19000',
    PARLEY_RUNS: '20000',
    PARLEY_BETWEEN_TOKENS_MS: '120000',
    PARLEY_LOG_LEVEL: 'warn',
  },
})
const storms: Storm[] = []
try {
  await storm()
} finally {
  for (const { process } of storms) process.kill()
  await cluster.dispose()
}

async function storm(): Promise<void> {
  const [doomed, ...others] = cluster.nodes
  if (doomed === undefined) return
  const processes = Math.ceil(SESSIONS / PER_PROCESS)
  const sessions = Math.ceil(SESSIONS / processes)
  const began = performance.now()
  for (let number = 0; number < processes; number += 1) storms.push(new Storm())
  const elsewhere = others.map(({ server }) => server.port)
  const about = { sessions, port: doomed.server.port, elsewhere, jitterMs: JITTER_MS, count: COUNT, rate: RATE }
  await Promise.all(storms.map((each, number) => each.ask({ ask: 'begin', prefix: `storm_${number}`, ...about })))
  await Promise.all(storms.map((each) => each.ask({ ask: 'storm' })))
  console.log(`${sessions * processes} sessions are attached and stream answers, after ${seconds(began)}`)

  // The CPU of NATS without the storm, to subtract it.
  const calmCpu = cluster.natsCpuSeconds()
  const calmAt = performance.now()
  await sleep(CALM_MS)
  const calm = (cluster.natsCpuSeconds() - calmCpu) / (performance.now() - calmAt)

  const cpu = cluster.natsCpuSeconds()
  const killed = performance.now()
  await doomed.server.kill()
  while (performance.now() - killed < LIVE_MS) {
    const counts = await Promise.all(storms.map((each) => each.ask<{ live: number }>({ ask: 'live' })))
    if (counts.every(({ live }) => live === sessions)) break
    await sleep(POLL_MS)
  }
  const took = performance.now() - killed
  const used = cluster.natsCpuSeconds() - cpu
  console.log(`all sessions are live again after ${seconds(killed)}; waiting for the runs to end`)

  const reports = await ended(sessions)
  report(reports, { took, used, calm })
  console.log(`warnings of the nodes: ${JSON.stringify(warnings())}`)
}

/** The number of log lines with each text. */
function warnings(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const line of cluster.nodes.flatMap(({ server }) => server.logs)) {
    if (!line.startsWith('{')) continue
    const { msg, err, problem } = JSON.parse(line) as { msg?: string; err?: { message?: string }; problem?: string }
    const text = [msg, problem ?? err?.message].filter((part) => part !== undefined).join(': ')
    counts[text] = (counts[text] ?? 0) + 1
  }
  return counts
}

/** Polls until every run has ended, or the time limit is reached. */
async function ended(sessions: number): Promise<readonly StormReport[]> {
  const until = performance.now() + Number(values.seconds) * 1_000 + 60_000
  for (;;) {
    const reports = await Promise.all(storms.map((each) => each.ask<StormReport>({ ask: 'report', count: COUNT })))
    if (reports.every((each) => each.ended === sessions) || performance.now() > until) return reports
    await sleep(1_000)
  }
}

function report(
  reports: readonly StormReport[],
  nats: { readonly took: number; readonly used: number; readonly calm: number },
): void {
  const all = (pick: (each: StormReport) => readonly number[]): number[] => reports.flatMap(pick)
  const waits = all((each) => each.waits)
  const extra = nats.used - nats.calm * nats.took
  const problems = reports.flatMap((each) => each.problems)
  const total = waits.length
  console.table({
    'live, without jitter': row(waits),
    'live, since the kill': row(all((each) => each.outages)),
    'next token, without jitter': row(all((each) => each.tokens)),
  })
  const each = (cpuSeconds: number): string => `${((cpuSeconds * 1_000) / total).toFixed(3)} ms`
  console.log(
    `CPU of NATS until all were live: ${each(nats.used)} per session, ${each(extra)} of it caused by the storm`,
  )
  console.log(`${reports.reduce((sum, one) => sum + one.takeovers, 0)} of ${total} runs were taken over`)
  const unavailable = reports.reduce((sum, each) => sum + each.unavailable, 0)
  if (unavailable > 0) console.log(`${unavailable} times a reader received "unavailable"`)
  console.log(problems.length === 0 ? 'Nothing was lost: all answers are complete.' : problems.slice(0, 20).join('\n'))
  if (problems.length > 20) console.log(`… and ${problems.length - 20} more`)
  process.exitCode = problems.length === 0 ? 0 : 1
}

function row(numbers: readonly number[]) {
  const sorted = numbers.filter((number) => !Number.isNaN(number)).sort((a, b) => a - b)
  const at = (part: number): string =>
    `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(0)} ms`
  return { p50: at(0.5), p99: at(0.99), max: at(1), clients: sorted.length }
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1_000).toFixed(1)} s`
}
