// Prometheus: a real Prometheus as a child process that scrapes one node twice a second, with its own port and folder.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../bench/cluster/free-port.ts'
import { PROMETHEUS, requireProgram } from '../../scripts/programs.mjs'
import { METRICS } from './scrape.ts'

const READY_MS = 20_000
const POLL_MS = 50

export class Prometheus {
  readonly url: string
  readonly #folder: string
  readonly #child: ChildProcess

  private constructor(url: string, folder: string, child: ChildProcess) {
    this.url = url
    this.#folder = folder
    this.#child = child
  }

  /** @param target the port on loopback of a node that was started with `METRICS` */
  static async start(target: number): Promise<Prometheus> {
    const binary = requireProgram(PROMETHEUS)
    const folder = mkdtempSync(join(tmpdir(), 'parley-prometheus-'))
    const address = `127.0.0.1:${await freePort()}`
    const config = join(folder, 'prometheus.yaml')
    // JSON is YAML.
    const authorization = { credentials: METRICS.PARLEY_METRICS_TOKEN }
    const jobs = [{ job_name: 'parley', authorization, static_configs: [{ targets: [`127.0.0.1:${target}`] }] }]
    writeFileSync(config, JSON.stringify({ global: { scrape_interval: '500ms' }, scrape_configs: jobs }))
    const words = [`--config.file=${config}`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${address}`]
    const child = spawn(binary, [...words, '--log.level=error'], { stdio: ['ignore', 'ignore', 'pipe'] })
    let log = ''
    child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()))
    const prometheus = new Prometheus(`http://${address}`, folder, child)
    const end = performance.now() + READY_MS
    while (!(await isReady(prometheus.url))) {
      if (child.exitCode !== null || performance.now() > end) {
        await prometheus.dispose()
        throw new Error(`prometheus is not ready: ${log}`)
      }
      await sleep(POLL_MS)
    }
    return prometheus
  }

  /** Resolves when the query returns the value. */
  async reaches(query: string, value: number): Promise<void> {
    for (const end = performance.now() + READY_MS; (await this.#value(query)) !== value; await sleep(POLL_MS)) {
      if (performance.now() > end) throw new Error(`${query} did not become ${value}`)
    }
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await exited
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #value(query: string): Promise<number | undefined> {
    const response = await fetch(`${this.url}/api/v1/query?${new URLSearchParams({ query })}`)
    const { data } = (await response.json()) as { data?: { result: readonly { value: readonly [number, string] }[] } }
    const value = data?.result[0]?.value[1]
    return value === undefined ? undefined : Number(value)
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/-/ready`)).ok
  } catch {
    return false
  }
}
