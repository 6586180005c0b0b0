// NatsServer and NatsCluster: real nats-servers with JetStream as child processes on loopback. Each has its own
// temporary folder and ports, so that tests and benchmarks can kill it at any time and restart it in place.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSecondsOf } from '../harness/usage.ts'

export interface NatsServerOptions {
  /** Additional lines of configuration, such as `max_payload: 8MB` or an `authorization` block. */
  readonly config?: string
  /** Lines in the `jetstream` block, such as `sync_interval: always`; false disables JetStream. */
  readonly jetstream?: string | false
}

interface Place {
  readonly name: string
  /** For clients, monitoring and cluster routes. */
  readonly ports: readonly [number, number, number]
  readonly routes: readonly number[]
}

interface Jsz {
  readonly meta_cluster?: { readonly leader?: string; readonly cluster_size?: number }
  readonly account_details?: readonly {
    readonly stream_detail?: readonly { readonly name: string; readonly cluster?: { readonly leader?: string } }[]
  }[]
}

const READY_MS = 30_000
const POLL_MS = 25

export class NatsServer {
  readonly name: string
  readonly folder: string
  readonly port: number
  readonly #place: Place
  readonly #options: NatsServerOptions
  readonly #logs: string[] = []
  #child: ChildProcess | undefined
  /** CPU seconds of earlier processes of this server, up to the last call of `cpuSeconds`. */
  #cpuBefore = 0
  #cpuSeen = 0

  /** Does not start the server. */
  constructor(place: Place, options: NatsServerOptions) {
    this.#place = place
    this.#options = options
    this.name = place.name
    this.port = place.ports[0]
    this.folder = mkdtempSync(join(tmpdir(), `parley-nats-${place.name}-`))
  }

  /** Starts one server; resolves when it is ready. */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const [ports] = await freePorts(1)
    const server = new NatsServer({ name: 'n1', ports: ports as Place['ports'], routes: [] }, options)
    await server.start()
    return server
  }

  /** The URL for clients. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** 0 if the server does not run. */
  get pid(): number {
    return this.alive ? (this.#child?.pid ?? 0) : 0
  }

  get alive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** The log lines of all its processes. */
  get logs(): readonly string[] {
    return this.#logs
  }

  /** Starts or restarts the server in its folder and on its ports. Resolves when it accepts clients. */
  async start(): Promise<void> {
    if (this.alive) return
    const config = join(this.folder, 'nats.conf')
    writeFileSync(config, this.#config())
    const child = spawn(await binary(), ['--config', config], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#cpuBefore += this.#cpuSeen
    this.#cpuSeen = 0
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.#logs.push(line))
    }
    const isReady =
      this.#place.routes.length === 0 ? () => this.#isHealthy('') : () => this.#isHealthy('?js-server-only=1')
    await until(isReady, () => `nats-server ${this.name} is not ready: ${this.#logs.slice(-5).join('\n')}`, child)
  }

  /** Kills the server, with SIGKILL by default. Resolves when it has exited. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.alive) return
    this.cpuSeconds()
    const exited = once(child, 'exit')
    child.kill(signal)
    // A process under SIGSTOP handles other signals only after SIGCONT. SIGKILL works at once.
    if (signal !== 'SIGKILL') child.kill('SIGCONT')
    await exited
  }

  /** Stops the server gracefully. */
  stop(): Promise<void> {
    return this.kill('SIGTERM')
  }

  /** Sends a signal, such as SIGSTOP or SIGCONT, and does not wait. */
  signal(signal: NodeJS.Signals): void {
    if (this.alive) this.#child?.kill(signal)
  }

  /** Kills and restarts the server. */
  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.kill(signal)
    await this.start()
  }

  /** User and system CPU time of all its processes. */
  cpuSeconds(): number {
    if (this.alive) {
      this.#cpuSeen = cpuSecondsOf(this.pid)
    }
    return this.#cpuBefore + this.#cpuSeen
  }

  /** Requests a path of the monitoring port, such as `/jsz?streams=1`. */
  async monitor(path: string): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${this.#place.ports[1]}${path}`, {
      signal: AbortSignal.timeout(2000),
    })
    return response.json()
  }

  async dispose(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #isHealthy(query: string): Promise<boolean> {
    const health = (await this.monitor(`/healthz${query}`)) as { readonly status?: string }
    return health.status === 'ok'
  }

  #config(): string {
    const { name, ports, routes } = this.#place
    const { config = '', jetstream = '' } = this.#options
    const store = join(this.folder, 'store')
    mkdirSync(store, { recursive: true })
    const cluster = `cluster {
  name: parley
  listen: 127.0.0.1:${ports[2]}
  no_advertise: true
  routes: [${routes.map((port) => `"nats://127.0.0.1:${port}"`).join(', ')}]
}`
    return `server_name: ${name}
listen: 127.0.0.1:${ports[0]}
http: 127.0.0.1:${ports[1]}
${jetstream === false ? '' : `jetstream {\n  store_dir: "${store}"\n  ${jetstream}\n}`}
${routes.length === 0 ? '' : cluster}
${config}
`
  }
}

/** A cluster, of three servers by default. It does not advertise its members, so that clients cannot bypass a proxy. */
export class NatsCluster {
  readonly servers: readonly NatsServer[]

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers
  }

  static async start(options: NatsServerOptions = {}, size = 3): Promise<NatsCluster> {
    const places = await freePorts(size)
    const routes = places.map((ports) => ports[2])
    const servers = places.map((ports, index) => new NatsServer({ name: `n${index + 1}`, ports, routes }, options))
    const cluster = new NatsCluster(servers)
    try {
      await Promise.all(servers.map((server) => server.start()))
      await cluster.ready()
    } catch (error) {
      await cluster.dispose()
      throw error
    }
    return cluster
  }

  /** The URLs of all servers, separated by commas. */
  get url(): string {
    return this.servers.map(({ url }) => url).join(',')
  }

  /** Resolves when all running servers agree on a JetStream leader and are current. */
  async ready(): Promise<void> {
    const isReady = async (): Promise<boolean> => {
      const alive = this.servers.filter((server) => server.alive)
      const views = await Promise.all(alive.map((server) => server.monitor('/jsz') as Promise<Jsz>))
      const leaders = new Set(views.map(({ meta_cluster }) => meta_cluster?.leader))
      return leaders.size === 1 && !leaders.has(undefined) && !leaders.has('')
    }
    await until(isReady, () => 'the NATS cluster has no leader')
    await until(
      async () => (await Promise.all(this.servers.filter(({ alive }) => alive).map(isCurrent))).every(Boolean),
      () => 'a server of the NATS cluster is not current',
    )
  }

  /** The current leader of a stream; undefined without a leader. */
  async leaderOf(stream: string): Promise<NatsServer | undefined> {
    for (const server of this.servers) {
      if (!server.alive) continue
      const { account_details = [] } = (await server.monitor('/jsz?streams=1&accounts=1').catch(() => ({}))) as Jsz
      const found = account_details
        .flatMap((account) => account.stream_detail ?? [])
        .find(({ name }) => name === stream)
      const leader = this.servers.find(({ name, alive }) => alive && name === found?.cluster?.leader)
      if (leader !== undefined) return leader
    }
    return undefined
  }

  cpuSeconds(): number {
    return this.servers.reduce((sum, server) => sum + server.cpuSeconds(), 0)
  }

  async dispose(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.dispose()))
  }
}

async function isCurrent(server: NatsServer): Promise<boolean> {
  return ((await server.monitor('/healthz')) as { readonly status?: string }).status === 'ok'
}

async function until(condition: () => Promise<boolean>, problem: () => string, child?: ChildProcess): Promise<void> {
  const end = performance.now() + READY_MS
  while (!(await condition().catch(() => false))) {
    if (performance.now() > end || (child !== undefined && child.exitCode !== null)) throw new Error(problem())
    await sleep(POLL_MS)
  }
}

/**
 * Picks ports below the ephemeral range. Otherwise a client that reconnects to a killed server could get the server's
 * port as its own.
 */
async function freePorts(servers: number): Promise<[number, number, number][]> {
  const free = new Set<number>()
  while (free.size < servers * 3) {
    const port = 15_000 + Math.floor(Math.random() * 17_000)
    if (await isFree(port)) free.add(port)
  }
  const ports = [...free]
  return Array.from({ length: servers }, (_, i) => ports.slice(i * 3, i * 3 + 3) as [number, number, number])
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

/** Finds nats-server with scripts/programs.mjs, which is outside this workspace; from source and from dist/. */
async function binary(): Promise<string> {
  const places = ['../../scripts/programs.mjs', '../../../scripts/programs.mjs'].map(
    (path) => new URL(path, import.meta.url),
  )
  const place = places.find((url) => existsSync(url))
  if (place === undefined) throw new Error('scripts/programs.mjs, which locates nats-server, is missing')
  const { requireProgram, NATS_SERVER } = (await import(place.href)) as Programs
  return requireProgram(NATS_SERVER)
}

interface Programs {
  readonly NATS_SERVER: object
  requireProgram(program: object): string
}
