// FaultInjector: applies the faults of a schedule to a cluster, and heals each after its time. If a process does not
// start because something else is broken, it starts it again, as a supervisor does. A process that exits on its own
// during the schedule is a failure of the test.
import { setTimeout as sleep } from 'node:timers/promises'
import type { NatsServer } from '../../../bench/cluster/nats-server.ts'
import type { ParleyCluster, ParleyNode } from '../../../bench/cluster/parley-cluster.ts'
import type { NetworkCondition } from '../../../bench/cluster/tcp-proxy.ts'
import { describeFault, type Fault, scopeOf } from './chaos-schedule.ts'

const SLOW: NetworkCondition = { kind: 'slow', ms: 60 }
const FAIR: NetworkCondition = { kind: 'fair' }
/** The stream whose leader is killed: the name without a configured prefix. */
const STREAM = 'PARLEY_SESSIONS'
const START_RETRY_MS = 500
const START_RETRIES = 60
/** Milliseconds from SIGTERM to the exit, at most: several times the drain. */
const STOP_MS = 20_000

export class FaultInjector {
  readonly #cluster: ParleyCluster
  /** What happened, one line each. */
  readonly timeline: string[] = []
  /** Processes that exited on their own, or did not stop correctly. */
  readonly failures: string[] = []
  /** The last fault of each target: the next one waits for it. */
  readonly #faults = new Map<string, Promise<void>>()
  readonly #starting = new Set<string>()
  #startedAt = performance.now()
  #closed = false

  constructor(cluster: ParleyCluster) {
    this.#cluster = cluster
    for (const { name, server } of cluster.nodes) {
      server.onState((state) => {
        if (state !== 'died' || this.#closed) return
        this.note(`${name} died`)
        if (!this.#starting.has(name)) this.failures.push(`${name} died: ${server.logs.slice(-3).join('\n')}`)
      })
    }
  }

  /** Resolves when the last fault has healed. */
  async inject(faults: readonly Fault[]): Promise<void> {
    this.#startedAt = performance.now()
    for (const fault of faults) {
      await sleep(Math.max(0, fault.at - (performance.now() - this.#startedAt)))
      // A fault can take longer than planned: the next one of its target waits.
      const scope = scopeOf(fault.kind)
      const key = scope === 'nats' ? scope : `${scope} ${fault.target}`
      const before = this.#faults.get(key) ?? Promise.resolve()
      this.#faults.set(
        key,
        before.then(() => this.#apply(fault)),
      )
    }
    await Promise.all(this.#faults.values())
  }

  async heal(): Promise<void> {
    await this.#cluster.heal()
    this.note('the cluster is healed')
  }

  close(): void {
    this.#closed = true
  }

  /** Adds a line to the timeline. */
  note(line: string): void {
    this.timeline.push(`${((performance.now() - this.#startedAt) / 1_000).toFixed(2).padStart(7)}  ${line}`)
  }

  async #apply(fault: Fault): Promise<void> {
    this.note(describeFault(fault).trim())
    const { kind, target, ms } = fault
    if (scopeOf(kind) === 'nats') return this.#stopNats(kind, target, ms)
    const node = this.#cluster.nodes[target]
    if (node === undefined) return
    switch (kind) {
      case 'kill':
        await node.server.kill()
        await sleep(ms)
        return this.#restart(node)
      case 'stop': {
        const code = await Promise.race([node.server.stop(), sleep(STOP_MS)])
        if (code !== 0) {
          const outcome = code === undefined ? 'did not exit' : `exited with ${code}`
          this.failures.push(`${node.name} ${outcome} after SIGTERM`)
          await node.server.kill()
        }
        await sleep(ms)
        return this.#restart(node)
      }
      case 'stall':
        node.server.stall()
        await sleep(ms)
        return node.server.resume()
      default: {
        const change = kind.startsWith('client') ? node.setClientNetwork : node.setNatsNetwork
        change(networkCondition(kind))
        await sleep(ms)
        change(FAIR)
      }
    }
  }

  async #stopNats(kind: Fault['kind'], target: number, ms: number): Promise<void> {
    const { nats } = this.#cluster
    const leader = kind === 'nats.leader' ? await this.#cluster.leaderOf(STREAM) : undefined
    const server = (leader ?? nats[target]) as NatsServer
    this.note(`NATS server ${server.name} stops`)
    await server.kill(kind === 'nats.stop' ? 'SIGTERM' : 'SIGKILL')
    await sleep(ms)
    await server.start()
    this.note(`NATS server ${server.name} runs again`)
  }

  async #restart({ name, server }: ParleyNode): Promise<void> {
    this.#starting.add(name)
    for (let attempt = 0; ; attempt += 1) {
      try {
        await server.start()
        break
      } catch (error) {
        this.note(`${name} failed to start: ${error instanceof Error ? error.message.slice(0, 200) : 'unknown'}`)
        if (attempt === START_RETRIES) throw error
        await sleep(START_RETRY_MS)
      }
    }
    this.#starting.delete(name)
    this.note(`${name} listens again`)
  }
}

function networkCondition(kind: Fault['kind']): NetworkCondition {
  if (kind.endsWith('cut')) return { kind: 'cut' }
  return kind.endsWith('silence') ? { kind: 'silent' } : SLOW
}
