// Subject: the servers that are driven. Those of somebody else are only asked what they use; its own are child processes
// with their data in a temporary folder, and go when it stops.

import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { spawnNode, stopChild } from './child.ts'
import { sumOf, type Usage, usageOfPid, usageOfUrl } from './process-usage.ts'

/** Of the project: this file is run as built, and by tests as it is. */
const ROOT = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../' : '../../', import.meta.url))
const START_MS = 60_000

/** One machine asks for all of them: what protects a server from one address must not be what is measured. */
const UNBOUNDED: Readonly<Record<string, string>> = {
  PARLEY_LOG_LEVEL: 'warn',
  PARLEY_MAX_CONNECTIONS: '20000',
  PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '20000',
  PARLEY_REQUEST_RATE: '1000000',
  PARLEY_REQUEST_BURST: '1000000',
  PARLEY_RUNS: '20000',
  PARLEY_DRAIN: '0',
}

export interface Subject {
  readonly urls: readonly string[]
  /** Servers of its own, on this machine. */
  readonly own: boolean
  /** Summed over all; undefined where it cannot be known. */
  usage(): Promise<Usage | undefined>
  stop(): Promise<void>
}

export function foreignSubject(urls: readonly string[]): Subject {
  return {
    urls,
    own: false,
    usage: async () => sumOf(await Promise.all(urls.map(usageOfUrl))),
    stop: () => Promise.resolve(),
  }
}

/**
 * @param youngMb of one node's young generation; 32 as `npm start` has it
 * @throws Error when it does not start
 */
export async function startSubject(nodes: number, youngMb = 32): Promise<Subject> {
  const data = mkdtempSync(join(tmpdir(), 'parley-loadtest-'))
  // What tests are told is no setting of a server's.
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

/** The server's line of facts. */
async function announced(child: ChildProcess): Promise<Found> {
  return await fromLines(child, (line) => {
    const said = json(line) as { listening?: unknown; url?: unknown } | undefined
    return said?.listening === true && typeof said.url === 'string'
      ? { urls: [said.url], pids: child.pid === undefined ? [] : [child.pid] }
      : undefined
  })
}

/** The cluster's table: name, URL, role, pid, state; NATS comes first in it. */
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
    if (child.stdout === null) return reject(new Error('The server has no output.'))
    const lines = createInterface({ input: child.stdout })
    const timer = setTimeout(() => reject(new Error('The server did not start in time.')), START_MS)
    child.once('exit', (code) => reject(new Error(`The server ended before it listened (${code ?? 'by a signal'}).`)))
    // The lines go on being read: a full pipe would hold the server up.
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
