// JetStreamRunQueue: the contract of every store, and several nodes: drivers that die or stall, a restart of NATS, and
// thousands of queued runs.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { type RunQueueHarness, runQueueContract } from '../../contracts/run-queue.contract.ts'
import { type Delivery, DeliveryLost, type QueuedRun } from '../../ports/run-queue.ts'
import { JetStreamConnection } from '../connection.ts'
import { openStreams } from '../streams.ts'
import { JetStreamRunQueue } from './run-queue.ts'

const logger = pino({ enabled: false })
const ACK_WAIT_MS = 1_000
let server: NatsServer
let prefixes = 0
const nodes: Node[] = []

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(() => server.dispose())
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close()
})

/** A node's run queue with its own connection. */
class Node {
  readonly connection: JetStreamConnection
  readonly runs: JetStreamRunQueue

  private constructor(connection: JetStreamConnection, runs: JetStreamRunQueue) {
    this.connection = connection
    this.runs = runs
  }

  static async open(prefix: string): Promise<Node> {
    const connection = await JetStreamConnection.open({ servers: [server.url], logger })
    const streams = await openStreams(connection, { prefix, ackWaitMs: ACK_WAIT_MS })
    const node = new Node(connection, new JetStreamRunQueue({ connection, streams, logger }))
    nodes.push(node)
    return node
  }

  /** Simulates the death of its process: nothing more is sent. */
  async die(): Promise<void> {
    await this.connection.nats.close()
  }

  async close(): Promise<void> {
    await this.runs.close()
    await this.connection.close()
  }
}

async function open(): Promise<RunQueueHarness> {
  const prefix = `contract${prefixes++}`
  let node = await Node.open(prefix)
  return {
    get runs() {
      return node.runs
    },
    async reopen() {
      await node.close()
      node = await Node.open(prefix)
    },
    async crash() {
      await node.die()
      node = await Node.open(prefix)
    },
    close: () => node.close(),
  }
}

runQueueContract('JetStreamRunQueue', open)

const queued = (i: number): QueuedRun => ({ session: `s${i}`, run: `r${i}`, command: `c${i}` })

/** A handler that keeps its run until its signal is aborted, and records its deliveries. */
class Driver {
  readonly deliveries: Delivery[] = []
  readonly reasons: unknown[] = []
  readonly #events = new EventTarget()

  readonly handler = async (delivery: Delivery, signal: AbortSignal): Promise<void> => {
    this.deliveries.push(delivery)
    this.#events.dispatchEvent(new Event('delivered'))
    if (!signal.aborted) await once(signal, 'abort')
    this.reasons.push(signal.reason)
    this.#events.dispatchEvent(new Event('aborted'))
    throw signal.reason
  }

  async has(count: number): Promise<void> {
    while (this.deliveries.length < count) await once(this.#events, 'delivered')
  }

  async aborted(count: number): Promise<void> {
    while (this.reasons.length < count) await once(this.#events, 'aborted')
  }
}

describe('runs on several nodes', () => {
  it('go to another node soon after ack_wait when their driver dies', async () => {
    const prefix = `dies${prefixes++}`
    const [first, second] = [await Node.open(prefix), await Node.open(prefix)]
    const [one, two] = [new Driver(), new Driver()]
    await first.runs.take(one.handler, { concurrency: 10 })
    for (const i of [1, 2, 3]) await first.runs.offer(queued(i))
    await one.has(3)
    await second.runs.take(two.handler, { concurrency: 10 })
    await first.die()
    const died = performance.now()
    await two.has(3)
    expect(performance.now() - died).toBeLessThan(ACK_WAIT_MS + 500)
    expect(two.deliveries.map(({ run, attempt }) => [run, attempt])).toEqual([1, 2, 3].map((i) => [`r${i}`, 2]))
  })

  it('stay with a living driver for much longer than ack_wait', async () => {
    const prefix = `lives${prefixes++}`
    const [first, second] = [await Node.open(prefix), await Node.open(prefix)]
    const [one, two] = [new Driver(), new Driver()]
    await first.runs.take(one.handler, { concurrency: 2_000 })
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => second.runs.offer(queued(i))))
    await one.has(1_000)
    await second.runs.take(two.handler, { concurrency: 2_000 })
    // There is no event to wait for: the test is that nothing happens for this long.
    await sleep(ACK_WAIT_MS * 3)
    expect([one.deliveries.length, two.deliveries.length]).toEqual([1_000, 0])
  })

  it('go to another node at once when their driver stops gracefully', async () => {
    const prefix = `stops${prefixes++}`
    const [first, second] = [await Node.open(prefix), await Node.open(prefix)]
    const [one, two] = [new Driver(), new Driver()]
    await first.runs.take(one.handler, { concurrency: 10 })
    for (const i of [1, 2, 3]) await first.runs.offer(queued(i))
    await one.has(3)
    await second.runs.take(two.handler, { concurrency: 10 })
    const stopped = performance.now()
    await first.close()
    await two.has(3)
    expect(performance.now() - stopped).toBeLessThan(ACK_WAIT_MS / 2)
  })

  it('are lost by a stalled node, which aborts their handlers and takes nothing from the new driver', async () => {
    const prefix = `stalls${prefixes++}`
    const [first, second] = [await Node.open(prefix), await Node.open(prefix)]
    const [one, two] = [new Driver(), new Driver()]
    await first.runs.take(one.handler, { concurrency: 10 })
    await first.runs.offer(queued(1))
    await one.has(1)
    await second.runs.take(two.handler, { concurrency: 10 })
    // Both nodes share an event loop, so both stall and send no heartbeats.
    const until = performance.now() + ACK_WAIT_MS * 1.5
    while (performance.now() < until);
    await one.aborted(1)
    expect(one.reasons[0]).toBeInstanceOf(DeliveryLost)
    await Promise.race([two.has(1), one.has(2)])
    expect([...one.deliveries, ...two.deliveries].map(({ attempt }) => attempt)).toEqual([1, 2])
  })

  it('are delivered again after ack_wait if their handler reports them as lost', async () => {
    const prefix = `lost${prefixes++}`
    const node = await Node.open(prefix)
    const attempts: number[] = []
    const times: number[] = []
    await new Promise<void>((resolve, reject) => {
      const handler = async ({ attempt }: Delivery): Promise<void> => {
        attempts.push(attempt)
        times.push(performance.now())
        if (attempt === 1) throw new DeliveryLost()
        resolve()
      }
      node.runs.take(handler, { concurrency: 10, retryDelayMs: 1 }).catch(reject)
      node.runs.offer(queued(1)).catch(reject)
    })
    expect(attempts).toEqual([1, 2])
    // The run was not released; `ack_wait` expired.
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(ACK_WAIT_MS * 0.8)
  })

  it('are distributed over nodes with capacity, and wait in order without it', async () => {
    const prefix = `spread${prefixes++}`
    const opened = await Promise.all([Node.open(prefix), Node.open(prefix), Node.open(prefix)])
    for (let i = 0; i < 9; i++) await opened[0]?.runs.offer(queued(i))
    const drivers = opened.map(() => new Driver())
    for (const [i, node] of opened.entries())
      await node.runs.take(drivers[i]?.handler as Driver['handler'], { concurrency: 2 })
    await Promise.all(drivers.map((driver) => driver.has(2)))
    expect(drivers.map(({ deliveries }) => deliveries.length)).toEqual([2, 2, 2])
    const given = drivers.flatMap(({ deliveries }) => deliveries.map(({ run }) => run))
    expect(given.sort()).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r5'])
  })

  it('are delivered from thousands of queued runs, oldest first, each once', async () => {
    const node = await Node.open(`thousands${prefixes++}`)
    const count = 3_000
    await Promise.all(Array.from({ length: count }, (_, i) => node.runs.offer(queued(i))))
    const order: string[] = []
    await new Promise<void>((resolve, reject) => {
      const handler = async ({ run }: Delivery): Promise<void> => {
        order.push(run)
        if (order.length === count) resolve()
      }
      node.runs.take(handler, { concurrency: 10 }).catch(reject)
    })
    expect(new Set(order).size).toBe(count)
    const places = order.map((run) => Number(run.slice(1)))
    expect(Math.max(...places.map((run, place) => Math.abs(run - place)))).toBeLessThan(200)
  })
})

describe('runs, when NATS is killed and restarted', () => {
  it('stay with their driver, and runs offered meanwhile are queued', async () => {
    const node = await Node.open(`killed${prefixes++}`)
    const driver = new Driver()
    await node.runs.take(driver.handler, { concurrency: 10 })
    await node.runs.offer(queued(1))
    await driver.has(1)
    const reconnected = new Promise<void>((resolve) => {
      node.connection.onState((state) => (state === 'live' ? resolve() : undefined))
    })
    await server.kill()
    const offered = node.runs.offer(queued(2))
    await server.start()
    await reconnected
    await offered
    await driver.has(2)
    expect(driver.deliveries.map(({ run }) => run)).toEqual(['r1', 'r2'])
    expect(driver.reasons).toEqual([])
  })
})
