// The NATS servers of the tests restart on their ports, and a cluster elects a leader.
import { afterEach, describe, expect, it } from 'vitest'
import { NatsCluster, NatsServer } from './nats-server.ts'

const disposals: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const dispose of disposals.splice(0)) await dispose()
})

describe('a nats-server', () => {
  it('restarts on its port after kill -9, and sums the CPU time of both processes', async () => {
    const server = await NatsServer.start()
    disposals.push(() => server.dispose())
    const { pid, port } = server
    const before = server.cpuSeconds()
    await server.kill()
    expect(server.alive).toBe(false)
    await server.start()
    expect([server.pid === pid, server.port]).toEqual([false, port])
    expect(server.cpuSeconds()).toBeGreaterThanOrEqual(before)
  })

  it('forms a cluster of three with a leader, also after one was killed and restarted', async () => {
    const cluster = await NatsCluster.start()
    disposals.push(() => cluster.dispose())
    await cluster.servers[2]?.kill()
    await cluster.servers[2]?.start()
    await cluster.ready()
    expect(cluster.servers.every(({ alive }) => alive)).toBe(true)
  })
})
