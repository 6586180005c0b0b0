// NodeWatch with a real NATS server: the runs of a node that dies, freezes or is cut off go to another node long before
// `ack_wait`, once, and nobody takes runs from a node that lives.
import { once } from 'node:events'
import { type Msg, RequestError } from '@nats-io/transport-node'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { TcpProxy } from '../../../../bench/cluster/tcp-proxy.ts'
import type { NodeVerdict } from '../../ports/node-verdicts.ts'
import { type Delivery, DeliveryLost } from '../../ports/run-queue.ts'
import { JetStreamConnection, jsonOf } from '../connection.ts'
import { JetStreamRunQueue } from '../queue/run-queue.ts'
import { openStreams } from '../streams.ts'
import { NodeWatch } from './node-watch.ts'
import { parseSign, type Sign } from './sign.ts'

const logger = pino({ enabled: false })
/** Longer than any test. */
const ACK_WAIT_MS = 300_000
let server: NatsServer
let prefixes = 0
const nodes: Node[] = []
const proxies: TcpProxy[] = []

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(() => server.dispose())
afterEach(async () => {
  for (const proxy of proxies) proxy.heal()
  for (const node of nodes.splice(0)) await node.close()
  for (const proxy of proxies.splice(0)) await proxy.close()
})

/** A node's watch and run queue. Its handlers keep their runs until they are aborted. */
class Node {
  readonly connection: JetStreamConnection
  readonly watch: NodeWatch
  readonly runs: JetStreamRunQueue
  readonly verdicts: NodeVerdict[] = []
  readonly deliveries: Delivery[] = []
  readonly reasons: unknown[] = []
  readonly #events = new EventTarget()

  private constructor(connection: JetStreamConnection, watch: NodeWatch, runs: JetStreamRunQueue) {
    this.connection = connection
    this.watch = watch
    this.runs = runs
    watch.onVerdict((verdict) => this.verdicts.push(verdict))
  }

  static async open(prefix: string, url = server.url): Promise<Node> {
    const connection = await JetStreamConnection.open({ servers: [url], logger })
    const streams = await openStreams(connection, { prefix, ackWaitMs: ACK_WAIT_MS })
    const watch = new NodeWatch({ connection, streams, logger })
    const node = new Node(
      connection,
      watch,
      new JetStreamRunQueue({ connection, streams, logger, watch, closeTimeoutMs: 200 }),
    )
    nodes.push(node)
    return node
  }

  async take(): Promise<void> {
    const handler = async (delivery: Delivery, signal: AbortSignal): Promise<void> => {
      this.deliveries.push(delivery)
      this.#events.dispatchEvent(new Event('delivered'))
      if (!signal.aborted) await once(signal, 'abort')
      this.reasons.push(signal.reason)
      this.#events.dispatchEvent(new Event('aborted'))
      throw signal.reason
    }
    await this.runs.take(handler, { concurrency: 1_000 })
  }

  /** Its handlers ignore that they are aborted. */
  async takeForever(): Promise<void> {
    const handler = (delivery: Delivery): Promise<void> => {
      this.deliveries.push(delivery)
      this.#events.dispatchEvent(new Event('delivered'))
      return new Promise(() => undefined)
    }
    await this.runs.take(handler, { concurrency: 1_000 })
  }

  async has(count: number): Promise<void> {
    while (this.deliveries.length < count) await once(this.#events, 'delivered')
  }

  async aborted(count: number): Promise<void> {
    while (this.reasons.length < count) await once(this.#events, 'aborted')
  }

  /** What a killed process leaves: nothing more is sent, and NATS notices the end of its connection. */
  async die(): Promise<void> {
    await this.connection.nats.close()
  }

  async close(): Promise<void> {
    await this.runs.close()
    this.watch.close()
    await this.connection.close()
  }
}

async function proxied(): Promise<{ proxy: TcpProxy; url: string }> {
  const proxy = await TcpProxy.open(server.port)
  proxies.push(proxy)
  return { proxy, url: `nats://127.0.0.1:${proxy.port}` }
}

/** @returns a promise for the next sign of life that fulfils the condition */
async function listen(
  by: Node,
  subject: string,
  condition: (sign: Sign) => boolean,
): Promise<{ found: Promise<Sign> }> {
  const found = new Promise<Sign>((resolve) => {
    const subscription = by.connection.nats.subscribe(subject, {
      callback: (_, message: Msg) => {
        const sign = parseSign(jsonOf(message))
        if (sign === undefined || !condition(sign)) return
        subscription.unsubscribe()
        resolve(sign)
      },
    })
  })
  // Otherwise another connection could publish before NATS has the subscription.
  await by.connection.nats.flush()
  return { found }
}

const sign = (by: Node, prefix: string, condition: (sign: Sign) => boolean) => listen(by, `${prefix}.signs`, condition)

/** Opens a node, and waits until it has the other node's roster. */
async function openInformed(by: Node, prefix: string, runs: number): Promise<Node> {
  const whole = await listen(by, `${prefix}.node.*`, ({ whole, took }) => whole !== undefined && took.length === runs)
  const node = await Node.open(prefix)
  await whole.found
  return node
}

async function offer(node: Node, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await node.runs.offer({ session: 's', run: `r${i}`, command: `c${i}` })
}

const prefixed = () => `watch${prefixes++}`
const attemptsOf = (node: Node) => node.deliveries.map(({ run, attempt }) => `${run}/${attempt}`).sort()

describe('the runs of a node', () => {
  it('that is killed are returned once, although two others see it', async () => {
    const prefix = prefixed()
    const first = await Node.open(prefix)
    await first.take()
    await offer(first, 3)
    await first.has(3)
    // Nodes that start later learn of the runs.
    const second = await openInformed(first, prefix, 3)
    const third = await openInformed(first, prefix, 3)
    await second.take()
    await first.die()
    await second.has(3)
    expect(attemptsOf(second)).toEqual(['r0/2', 'r1/2', 'r2/2'])
    const verdicts = [...second.verdicts, ...third.verdicts]
    expect(verdicts.filter(({ outcome }) => outcome !== 'refuted')).toEqual([{ outcome: 'gone', runs: 3 }])
  })

  it('that is cut off silently are returned, and the node withdraws when it is back', async () => {
    const prefix = prefixed()
    const { proxy, url } = await proxied()
    const [first, second] = [await Node.open(prefix, url), await Node.open(prefix)]
    const announced = await sign(second, prefix, ({ took }) => took.length > 0)
    await first.take()
    await offer(second, 1)
    await first.has(1)
    await announced.found
    await second.take()
    proxy.change({ kind: 'silent' })
    await second.has(1)
    expect(second.verdicts.at(-1)).toEqual({ outcome: 'silent', runs: 1 })
    proxy.heal()
    await first.aborted(1)
    expect(first.reasons).toEqual([expect.any(DeliveryLost)])
    expect([...attemptsOf(first), ...attemptsOf(second)]).toEqual(['r0/1', 'r0/2'])
  })

  it('that stops go to another node without a verdict', async () => {
    const prefix = prefixed()
    const [first, second] = [await Node.open(prefix), await Node.open(prefix)]
    await first.take()
    await offer(first, 1)
    await first.has(1)
    await second.take()
    const bye = await sign(second, prefix, ({ bye }) => bye)
    await first.close()
    await Promise.all([bye.found, second.has(1)])
    expect(second.verdicts.filter(({ outcome }) => outcome !== 'refuted')).toEqual([])
  })

  it('that stops are returned if its handlers do not hand them over', async () => {
    const prefix = prefixed()
    const [first, second] = [await Node.open(prefix), await Node.open(prefix)]
    const announced = await sign(second, prefix, ({ took }) => took.length > 0)
    await first.takeForever()
    await offer(second, 1)
    await first.has(1)
    await announced.found
    await second.take()
    await first.close()
    await second.has(1)
    expect(second.verdicts.at(-1)).toEqual({ outcome: 'gone', runs: 1 })
  })

  it('that was replaced already are left with the next driver', async () => {
    const prefix = prefixed()
    const { proxy, url } = await proxied()
    const [first, second] = [await Node.open(prefix, url), await Node.open(prefix)]
    const announced = await sign(second, prefix, ({ took }) => took.length > 0)
    await first.take()
    await offer(second, 1)
    await first.has(1)
    const { node, took } = await announced.found
    const judged = new Promise<NodeVerdict>((resolve) => {
      second.watch.onVerdict((verdict) => (verdict.outcome === 'refuted' ? undefined : resolve(verdict)))
    })
    await second.take()
    proxy.change({ kind: 'cut' })
    // Otherwise NATS could give the run to the request of the first node that still waits.
    const asked = () => second.connection.nats.request(`${prefix}.node.${node}`, '', { timeout: 100 }).catch((e) => e)
    await expect.poll(asked, { interval: 10, timeout: 20_000 }).toBeInstanceOf(RequestError)
    // JetStream gives the run to the next node on its own, as after `ack_wait`.
    second.connection.nats.publish(took[0] as string, '-NAK')
    await second.has(1)
    expect(await judged).toEqual({ outcome: 'gone', runs: 0 })
    expect(attemptsOf(second)).toEqual(['r0/2'])
  })
})
