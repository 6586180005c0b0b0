// ParleyCluster: Parley nodes and their NATS servers on loopback, each a separate process that can be killed, stalled,
// cut off and restarted. `npm run cluster`, tests and benchmarks use it.
import { freePort, isFree } from './free-port.ts'
import { NatsCluster, NatsServer, type NatsServerOptions } from './nats-server.ts'
import { ServerProcess } from './server-process.ts'
import { type NetworkCondition, TcpProxy } from './tcp-proxy.ts'

export interface ParleyClusterOptions {
  readonly nodes?: number
  /** 1: one server. 3: a cluster, with three replicas of each stream. 0: none; each node has an embedded log. */
  readonly nats?: 0 | 1 | 3
  readonly natsOptions?: NatsServerOptions
  /** The port of the first node; the others follow. Default: free ports. */
  readonly port?: number
  /** The roles of the nodes, in order; default `all`. */
  readonly roles?: readonly string[]
  /** Settings for every node. */
  readonly env?: Readonly<Record<string, string>>
  /** Adds a TcpProxy between each node and NATS, and between clients and each node. */
  readonly proxied?: boolean
  readonly execArgv?: readonly string[]
}

export interface ParleyNode {
  readonly name: string
  readonly role: string
  readonly server: ServerProcess
  /** The URL for clients, through the proxy if there is one. */
  readonly url: string
  /** Changes the network between the node and all NATS servers, or between clients and the node. Needs `proxied`. */
  setNatsNetwork(condition: NetworkCondition): void
  setClientNetwork(condition: NetworkCondition): void
}

export class ParleyCluster {
  readonly nats: readonly NatsServer[]
  readonly nodes: readonly ParleyNode[]
  readonly #natsCluster: NatsCluster | undefined
  readonly #proxies: readonly TcpProxy[]

  private constructor(
    nats: readonly NatsServer[],
    natsCluster: NatsCluster | undefined,
    nodes: readonly ParleyNode[],
    proxies: readonly TcpProxy[],
  ) {
    this.nats = nats
    this.#natsCluster = natsCluster
    this.nodes = nodes
    this.#proxies = proxies
  }

  /** Resolves when all nodes listen. */
  static async start(options: ParleyClusterOptions = {}): Promise<ParleyCluster> {
    const { nats: size = 1, natsOptions, nodes: count = 3 } = options
    const natsCluster = size === 3 ? await NatsCluster.start(natsOptions) : undefined
    const nats = natsCluster?.servers ?? (size === 1 ? [await NatsServer.start(natsOptions)] : [])
    const cluster = await ParleyCluster.#around(nats, natsCluster, count, options).catch(async (error: unknown) => {
      await Promise.all(nats.map((server) => server.dispose()))
      throw error
    })
    try {
      // One after the other: the first node creates the streams.
      for (const node of cluster.nodes) await node.server.start()
      return cluster
    } catch (error) {
      await cluster.dispose()
      throw error
    }
  }

  static async #around(
    nats: readonly NatsServer[],
    natsCluster: NatsCluster | undefined,
    count: number,
    options: ParleyClusterOptions,
  ): Promise<ParleyCluster> {
    const proxies: TcpProxy[] = []
    const open = async (port: number): Promise<TcpProxy> => {
      const proxy = await TcpProxy.open(port)
      proxies.push(proxy)
      return proxy
    }
    const nodes: ParleyNode[] = []
    for (let index = 0; index < count; index += 1) {
      const port = await portOf(index, options.port)
      const natsProxies = options.proxied === true ? await Promise.all(nats.map((server) => open(server.port))) : []
      const clientProxy = options.proxied === true ? await open(port) : undefined
      const ports =
        natsProxies.length === 0 ? nats.map((server) => server.port) : natsProxies.map((proxy) => proxy.port)
      const name = `node${index + 1}`
      const role = options.roles?.[index] ?? 'all'
      const env = {
        PARLEY_NODE: name,
        PARLEY_ROLE: role,
        ...(nats.length > 0 ? { PARLEY_NATS_URL: ports.map((each) => `nats://127.0.0.1:${each}`).join(',') } : {}),
        ...(nats.length > 1 ? { PARLEY_NATS_REPLICAS: '3' } : {}),
        ...options.env,
      }
      nodes.push({
        name,
        role,
        server: new ServerProcess(env, port, options.execArgv),
        url: `ws://127.0.0.1:${clientProxy?.port ?? port}/v1/ws`,
        setNatsNetwork(condition) {
          for (const proxy of natsProxies) proxy.change(condition)
        },
        setClientNetwork(condition) {
          clientProxy?.change(condition)
        },
      })
    }
    return new ParleyCluster(nats, natsCluster, nodes, proxies)
  }

  /** The NATS server that leads a stream. */
  async leaderOf(stream: string): Promise<NatsServer | undefined> {
    return this.#natsCluster === undefined ? this.nats[0] : this.#natsCluster.leaderOf(stream)
  }

  /** Heals all networks, restarts stopped processes, and resumes stalled ones. */
  async heal(): Promise<void> {
    for (const proxy of this.#proxies) proxy.heal()
    await Promise.all(this.nats.map((server) => server.start()))
    await this.#natsCluster?.ready()
    for (const { server } of this.nodes) server.resume()
    await Promise.all(this.nodes.map(({ server }) => server.start()))
  }

  natsCpuSeconds(): number {
    return this.nats.reduce((sum, server) => sum + server.cpuSeconds(), 0)
  }

  /** Stops the nodes gracefully, then NATS. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(({ server }) => server.stop()))
    await this.dispose()
  }

  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map(({ server }) => server.dispose()))
    await Promise.all(this.#proxies.map((proxy) => proxy.close()))
    await Promise.all(this.nats.map((server) => server.dispose()))
  }
}

async function portOf(index: number, base: number | undefined): Promise<number> {
  if (base === undefined) return freePort()
  if (!(await isFree(base + index))) throw new Error(`port ${base + index} is taken: choose another with --port`)
  return base + index
}
