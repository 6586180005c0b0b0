// The cost of waiting clients: 1,000 jobs start at the same moment and produce no output yet. For each job a client
// waits over one of five transports, or no client waits. Reports the server's CPU per job and minute, the share of
// waiting, and how evenly polls are spread. `node bench/dist/waiting-bench.js [--only nobody,sse] [--seconds 60]
// [--jobs 1000]`
import { readFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ServerProcess } from './cluster/server-process.ts'
import { RawClient } from './harness/raw-client.ts'

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    only: { type: 'string' },
  },
})
const JOBS = Number(values.jobs)
const SECONDS = Number(values.seconds)
/** Clock ticks per second in /proc. */
const TICKS = 100
const LONG_WAIT_S = 60
/** Milliseconds until the start of the jobs no longer affects the measurement. */
const CALM_MS = 10_000

interface Job {
  readonly id: string
  readonly session: string
  readonly run: string
  readonly cursor: string
  /** The time of the first poll by Retry-After, as `performance.now()`. */
  readonly dueAt: number
}

interface Waiting {
  /** The times of all polls, as `performance.now()`. */
  readonly polls: number[]
  stop(): void
}

type Way = (server: ServerProcess, jobs: readonly Job[]) => Promise<Waiting>

const NONE: Waiting = { polls: [], stop: () => undefined }

const WAYS: Readonly<Record<string, Way>> = {
  nobody: async () => NONE,
  'short-poll': async (server, jobs) => polling(server, jobs, (job, since) => `/jobs/${job.id}?since=${since}`),
  'short-poll-etag': async (server, jobs) => polling(server, jobs, (job) => `/jobs/${job.id}`, true),
  'long-poll': async (server, jobs) =>
    polling(server, jobs, (job, since) => `/jobs/${job.id}?since=${since}&wait=${LONG_WAIT_S}`, false, true),
  sse: async (server, jobs) => {
    const streams = await inBatches(jobs, (job) => open(server, job))
    return { polls: [], stop: () => each(streams, (stream) => stream.destroy()) }
  },
  websocket: async (server, jobs) => {
    const clients = await inBatches(jobs, async ({ session, cursor }) => {
      const client = await RawClient.open(server.port, '/v1/ws', () => undefined)
      client.send([{ type: 'hello' }, { type: 'attach', id: 'a', session, after: cursor }])
      return client
    })
    return { polls: [], stop: () => each(clients, (client) => client.close()) }
  },
}

console.log(`${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}; clients share the cores`)
console.log(`${JOBS} jobs, started together; ${SECONDS} s per transport`)
let idle: number | undefined
for (const [name, way] of Object.entries(WAYS)) {
  if (values.only !== undefined && !values.only.split(',').includes(name)) continue
  const { cpu, polls, rss } = await measure(way)
  const perJob = (cpu * 1000) / JOBS / (SECONDS / 60)
  if (name === 'nobody') idle = perJob
  const own = idle === undefined || name === 'nobody' ? '' : `, of which waiting ${(perJob - idle).toFixed(2)} ms`
  console.log(`${name}: ${perJob.toFixed(2)} ms of CPU per job and minute${own}; ${(rss / 2 ** 20).toFixed(0)} MB`)
  if (polls.length > 0) console.log(`  ${spreadOf(polls)}`)
}

async function measure(way: Way): Promise<{ cpu: number; polls: readonly number[]; rss: number }> {
  const server = await ServerProcess.start({
    PARLEY_LOG_LEVEL: 'warn',
    PARLEY_FIRST_TOKEN_MS: '600000',
    PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '15000',
  })
  try {
    const jobs = await Promise.all(Array.from({ length: JOBS }, () => begin(server)))
    const began = performance.now()
    const waiting = await way(server, jobs)
    await sleep(CALM_MS)
    const before = cpuSeconds(server.pid)
    await sleep(SECONDS * 1000)
    const cpu = cpuSeconds(server.pid) - before
    const rss = rssBytes(server.pid)
    waiting.stop()
    // All long polls start together, as the jobs did.
    const since = way === WAYS['long-poll'] ? began + CALM_MS : 0
    return { cpu, polls: waiting.polls.filter((at) => at > since), rss }
  } finally {
    await server.dispose()
  }
}

async function begin(server: ServerProcess): Promise<Job> {
  const response = await fetch(`http://127.0.0.1:${server.port}/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ content: '/demo count=1 ttft=600000' }),
  })
  if (response.status !== 202) throw new Error(`POST /jobs was answered with status ${response.status}`)
  const dueAt = performance.now() + Number(response.headers.get('retry-after')) * 1000
  return { ...((await response.json()) as Omit<Job, 'dueAt'>), dueAt }
}

/** Each client polls, waits for Retry-After, and polls again. */
function polling(
  server: ServerProcess,
  jobs: readonly Job[],
  path: (job: Job, since: string) => string,
  tagged = false,
  atOnce = false,
): Waiting {
  const polls: number[] = []
  const timers = new Set<NodeJS.Timeout>()
  const agent = new Agent({ keepAlive: true, maxSockets: JOBS })
  let stopped = false
  const later = (seconds: number, poll: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      poll()
    }, seconds * 1000)
    timers.add(timer)
  }
  for (const job of jobs) {
    let etag: string | undefined
    let since = job.cursor
    const poll = (): void => {
      polls.push(performance.now())
      const headers = tagged && etag !== undefined ? { 'If-None-Match': etag } : {}
      const sent = request(
        { host: '127.0.0.1', port: server.port, path: path(job, since), agent, headers },
        (response) => {
          etag = response.headers.etag
          let body = ''
          response.setEncoding('utf8')
          response.on('data', (text: string) => {
            body += text
          })
          response.on('end', () => {
            if (response.statusCode === 200) since = (JSON.parse(body) as { cursor: string }).cursor
            if (!stopped) later(Number(response.headers['retry-after'] ?? 1), poll)
          })
        },
      )
      sent.on('error', (error) => {
        // The server may close a keep-alive connection during a request; clients retry then.
        if (!stopped) later(0, poll)
        if (!stopped && !/ECONNRESET|socket hang up/.test(error.message)) throw error
      })
      sent.end()
    }
    later(atOnce ? 0 : Math.max(0, job.dueAt - performance.now()) / 1000, poll)
  }
  const stop = (): void => {
    stopped = true
    for (const timer of timers) clearTimeout(timer)
    agent.destroy()
  }
  return { polls, stop }
}

async function open(server: ServerProcess, { session, run, cursor }: Job): Promise<IncomingMessage> {
  const path = `/v1/sessions/${session}/events?run=${run}&after=${cursor}`
  return new Promise((resolve, reject) => {
    const headers = { Accept: 'text/event-stream' }
    const sent = request({ host: '127.0.0.1', port: server.port, path, headers, agent: false }, (response) => {
      response.resume()
      response.on('error', () => undefined)
      resolve(response)
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** How polls are spread: the busiest interval, compared with an even distribution. */
function spreadOf(polls: readonly number[]): string {
  const from = Math.min(...polls)
  const span = Math.max(...polls) - from
  const parts = [100, 1000].map((ms) => {
    const counts = new Map<number, number>()
    for (const at of polls) {
      const part = Math.floor((at - from) / ms)
      counts.set(part, (counts.get(part) ?? 0) + 1)
    }
    const most = Math.max(...counts.values())
    const share = ((most / JOBS) * 100).toFixed(1)
    return `at most ${most} in ${ms} ms (${share} % of the clients; evenly ${((polls.length * ms) / span).toFixed(0)})`
  })
  return `${polls.length} polls, ${(polls.length / JOBS).toFixed(1)} per client; ${parts.join('; ')}`
}

function each<T>(items: readonly T[], end: (item: T) => void): void {
  for (const item of items) end(item)
}

async function inBatches<T>(jobs: readonly Job[], make: (job: Job) => Promise<T>): Promise<T[]> {
  const made: T[] = []
  for (let from = 0; from < jobs.length; from += 100) {
    made.push(...(await Promise.all(jobs.slice(from, from + 100).map(make))))
  }
  return made
}

function cpuSeconds(pid: number): number {
  const fields = statOf(pid)
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

function rssBytes(pid: number): number {
  return Number(statOf(pid)[21]) * 4096
}

function statOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}
