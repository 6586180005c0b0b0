// The servers under test. External servers are only queried for their usage. Own servers are child processes with their
// data in a temporary folder, and stop with the target.

import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { spawnNode, stopChild } from './child.ts'
import { sumOf, type Usage, usageOfPid, usageOfUrl } from './process-usage.ts'

/** The repository. This file runs from dist/, and from its source in tests. */
const ROOT = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../' : '../../', import.meta.url))
const START_MS = 60_000

/** All users come from one address, so the limits per address must not distort the measurement. */
const UNBOUNDED: Readonly<Record<string, string>> = {
  PARLEY_LOG_LEVEL: 'warn',
  PARLEY_MAX_CONNECTIONS: '20000',
  PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '20000',
  PARLEY_REQUEST_RATE: '1000000',
  PARLEY_REQUEST_BURST: '1000000',
  PARLEY_RUNS: '20000',
  PARLEY_DRAIN: '0',
}

export interface Target {
  readonly urls: readonly string[]
  /** Whether the load test started the servers, on this machine. */
  readonly own: boolean
  /** The sum over all servers; undefined if it is unknown. */
  usage(): Promise<Usage | undefined>
  stop(): Promise<void>
}

export function externalTarget(urls: readonly string[]): Target {
  return {
    urls,
    own: false,
    usage: async () => sumOf(await Promise.all(urls.map(usageOfUrl))),
    stop: () => Promise.resolve(),
  }
}

/**
 * @param youngMb V8's semi-space in MB for a single node; `npm start` uses 32
 * @throws Error if a server does not start
 */
export async function startTarget(nodes: number, youngMb = 32): Promise<Target> {
  const data = mkdtempSync(join(tmpdir(), 'parley-loadtest-'))
  // Variables of the test suite are not settings, and would abort the start.
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith('PARLEY_TEST_'))
  const settings = { ...Object.fromEntries(ours), ...UNBOUNDED, PARLEY_PORT: '0', PARLEY_DATA: data }
  const [script, ...args] =
    nodes === 1
      ? [`--max-semi-space-size=${youngMb}`, join(ROOT, 'server/dist/main.js')]
      : [join(ROOT, 'scripts/cluster.mjs'), '--nodes', String(nodes), '--port', '0']
  const child = spawnNode([script, ...args], settings)
  try {
    const found = await (nodes === 1 ? announced(child) : clustered(child, nodes))
    return {
      urls: found.urls,
      own: true,
      usage: async () => sumOf(await Promise.all(found.pids.map(usageOfPid))),
      stop: async () => {
        await stopChild(child, 10_000)
        rmSync(data, { recursive: true, force: true })
      },
    }
  } catch (error) {
    await stopChild(child, 1_000)
    rmSync(data, { recursive: true, force: true })
    throw error
  }
}

interface Found {
  readonly urls: readonly string[]
  readonly pids: readonly number[]
}

/** Reads the server's line `listening`. */
async function announced(child: ChildProcess): Promise<Found> {
  return await fromLines(child, (line) => {
    const said = json(line) as { listening?: unknown; url?: unknown } | undefined
    return said?.listening === true && typeof said.url === 'string'
      ? { urls: [said.url], pids: child.pid === undefined ? [] : [child.pid] }
      : undefined
  })
}

/** Reads the table that scripts/cluster.mjs prints: name, URL, role, pid, state. NATS servers come first. */
async function clustered(child: ChildProcess, nodes: number): Promise<Found> {
  const urls: string[] = []
  const pids: number[] = []
  return await fromLines(child, (line) => {
    const [, , url = '', role, pid] = /^(\S+)\s+(\S+)\s+(\S+)\s+pid (\d+)/.exec(line) ?? []
    if (pid === undefined) return undefined
    pids.push(Number(pid))
    if (role !== 'nats') urls.push(url)
    return urls.length === nodes ? { urls, pids } : undefined
  })
}

function fromLines(child: ChildProcess, find: (line: string) => Found | undefined): Promise<Found> {
  return new Promise((resolve, reject) => {
    if (child.stdout === null) return reject(new Error('The server process has no stdout.'))
    const lines = createInterface({ input: child.stdout })
    const timer = setTimeout(() => reject(new Error(`The server did not start within ${START_MS / 1000} s.`)), START_MS)
    child.once('exit', (code) => reject(new Error(`The server exited before it listened (${code ?? 'by a signal'}).`)))
    // Keep reading after the match: a full pipe would block the server.
    lines.on('line', (line) => {
      const found = find(line)
      if (found === undefined) return
      clearTimeout(timer)
      resolve(found)
    })
  })
}

function json(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
