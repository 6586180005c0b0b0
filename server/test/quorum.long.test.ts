// NATS is available, but JetStream is not: two of three servers are killed, the node stays connected, and nothing can
// be stored until one of them is back.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ParleyCluster, type ParleyNode } from '../../bench/cluster/parley-cluster.ts'
import { CommandError, demoCount, StrictClient } from './strict-client.ts'

/** A run of nine seconds: it is active when the servers die, and has not ended when they are back. */
const COUNT = 450
const ASK = `/demo count=${COUNT} rate=50`
const WAIT = { timeout: 30_000, interval: 20 }

let cluster: ParleyCluster
let node: ParleyNode
beforeAll(async () => {
  cluster = await ParleyCluster.start({ nats: 3, nodes: 1 })
  node = cluster.nodes[0] as ParleyNode
})
afterAll(async () => {
  await cluster.dispose()
})

async function ready(): Promise<number> {
  return (await fetch(`http://127.0.0.1:${node.server.port}/readyz`)).status
}

describe('a NATS cluster without a majority', () => {
  it('notifies readers, refuses commands, is not ready, keeps its runs, and recovers', async () => {
    const reader = new StrictClient(node.url)
    await reader.connect()
    await reader.attach('s')
    const { run = '' } = await reader.send('s', ASK)
    await reader.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.output')
    const notified = reader.frame((frame) => frame.type === 'error' && frame.id === undefined)
    const connected = await Promise.all(
      cluster.nats.map(async (server) => ((await server.monitor('/varz')) as { connections: number }).connections),
    )
    const others = cluster.nats.filter((_, index) => connected[index] === 0)
    expect(others).toHaveLength(2)
    const killed = performance.now()
    await Promise.all(others.map((server) => server.kill()))
    expect(await notified).toMatchObject({ code: 'unavailable', retryable: true })
    const refused = await reader.send('s', 'Are you there?', { id: 'c1' }).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(CommandError)
    expect((refused as CommandError).frame).toMatchObject({ code: 'unavailable', retryable: true })
    await expect.poll(ready, WAIT).toBe(503)
    // At most 1 s to notify, 10 s to refuse and 5 s to be not ready, plus the time to detect the loss.
    expect(performance.now() - killed).toBeLessThan(30_000)
    const live = reader.frame((frame) => frame.type === 'live' && frame.session === 's')
    await (others[0] as (typeof others)[0]).start()
    await live
    expect(await ready()).toBe(200)
    await reader.ended('s', run)
    const picture = reader.session('s')
    expect(picture.faults).toEqual([])
    expect(picture.run(run)).toMatchObject({ text: demoCount(COUNT), ends: 1 })
    expect(picture.run(run).ended?.reason).toBe('completed')
    await reader.send('s', 'Are you there?', { id: 'c1' })
    expect(picture.events.filter(({ type }) => type === 'message')).toHaveLength(2)
    expect(node.server.logs.some((line) => line.includes('"JetStream is unavailable"'))).toBe(true)
    expect(node.server.logs.some((line) => line.includes('"lost the connection to NATS"'))).toBe(false)
    reader.drop()
  }, 90_000)
})
