// ChaosWorld: makes the faults of a schedule happen to a cluster, each at its moment, and heals each when its time is
// up. Processes that do not come up because something else is broken are started again until they do, as a supervisor
// would; a process that ends by itself is a fault of its own, and is told.
import type { NatsServer } from '../../../bench/cluster/nats-server.ts'
import type { ParleyCluster, ParleyNode } from '../../../bench/cluster/parley-cluster.ts'
import type { Weather } from '../../../bench/cluster/tcp-proxy.ts'
import { pause } from '../strict-client.ts'
import { describeFault, type Fault, laneOf } from './chaos-schedule.ts'

const SLOW: Weather = { kind: 'slow', ms: 60 }
const FAIR: Weather = { kind: 'fair' }
/** What the cluster's streams are called without a prefix of its own. */
const STREAM = 'PARLEY_SESSIONS'
const START_RETRY_MS = 500
/** Milliseconds from SIGTERM to the end, at most: several times the drain. */
const STOP_MS = 20_000

export class ChaosWorld {
  readonly #cluster: ParleyCluster
  /** What happened, line by line, for people. */
  readonly story: string[] = []
  /** What should not have happened. */
  readonly deaths: string[] = []
  readonly #lanes = new Map<string, Promise<void>>()
  #began = performance.now()
  #over = false

  constructor(cluster: ParleyCluster) {
    this.#cluster = cluster
    for (const { name, server } of cluster.nodes) {
      server.onState((state) => {
        if (state !== 'died' || this.#over) return
        this.note(`${name} died`)
        if (!this.#starting.has(name)) this.deaths.push(`${name} died: ${server.logs.slice(-3).join('\n')}`)
      })
    }
  }

  /** Resolves when the last fault has healed. */
  async play(faults: readonly Fault[]): Promise<void> {
    this.#began = performance.now()
    for (const fault of faults) {
      await pause(Math.max(0, fault.at - (performance.now() - this.#began)))
      // One target's faults follow each other, also when one takes longer than planned.
      const lane = laneOf(fault.kind)
      const key = lane === 'nats' ? lane : `${lane} ${fault.target}`
      const before = this.#lanes.get(key) ?? Promise.resolve()
      this.#lanes.set(
        key,
        before.then(() => this.#happen(fault)),
      )
    }
    await Promise.all(this.#lanes.values())
  }

  /** Everything whole again. */
  async heal(): Promise<void> {
    await this.#cluster.heal()
    this.note('all is healed')
  }

  close(): void {
    this.#over = true
  }

  readonly #starting = new Set<string>()

  async #happen(fault: Fault): Promise<void> {
    this.note(describeFault(fault).trim())
    const { kind, target, ms } = fault
    if (laneOf(kind) === 'nats') return this.#natsFault(kind, target, ms)
    const node = this.#cluster.nodes[target]
    if (node === undefined) return
    switch (kind) {
      case 'kill':
        await node.server.kill()
        await pause(ms)
        return this.#bringBack(node)
      case 'stop': {
        const code = await Promise.race([node.server.stop(), pause(STOP_MS)])
        if (code !== 0) {
          this.deaths.push(`${node.name} ${code === undefined ? 'did not end' : `ended with ${code}`} after SIGTERM`)
          await node.server.kill()
        }
        await pause(ms)
        return this.#bringBack(node)
      }
      case 'stall':
        node.server.stall()
        await pause(ms)
        return node.server.resume()
      default: {
        const weather: Weather = kind.endsWith('cut')
          ? { kind: 'cut' }
          : kind.endsWith('silence')
            ? { kind: 'silent' }
            : SLOW
        const change = kind.startsWith('door') ? node.door : node.link
        change(weather)
        await pause(ms)
        change(FAIR)
      }
    }
  }

  async #natsFault(kind: Fault['kind'], target: number, ms: number): Promise<void> {
    const { nats } = this.#cluster
    const led = kind === 'nats.leader' ? await this.#cluster.leaderOf(STREAM) : undefined
    const server = (led ?? nats[target]) as NatsServer
    this.note(`NATS server ${server.name} goes down`)
    await server.kill(kind === 'nats.stop' ? 'SIGTERM' : 'SIGKILL')
    await pause(ms)
    await server.start()
    this.note(`NATS server ${server.name} is back`)
  }

  async #bringBack({ name, server }: ParleyNode): Promise<void> {
    this.#starting.add(name)
    for (let failed = 0; ; failed += 1) {
      try {
        await server.start()
        break
      } catch (error) {
        this.note(`${name} did not start: ${error instanceof Error ? error.message.slice(0, 200) : 'unknown'}`)
        if (failed === 60) throw error
        await pause(START_RETRY_MS)
      }
    }
    this.#starting.delete(name)
    this.note(`${name} listens again`)
  }

  /** For the story. */
  note(line: string): void {
    this.story.push(`${((performance.now() - this.#began) / 1_000).toFixed(2).padStart(7)}  ${line}`)
  }
}
