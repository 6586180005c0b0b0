// Two nodes behind a proxy, with the guide's lines for several nodes: one node drains while answers stream. Clients resume
// on the other node, and requests that the draining node refuses are repeated there.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Door, ParleyClient } from '@parley/client'
import { makeId } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ParleyCluster } from '../../bench/cluster/parley-cluster.ts'
import { GuideProxy } from './guide-proxy.ts'
import { KINDS } from './kinds.ts'

/** An answer of eight seconds: longer than the drain. */
const COUNT = 240
const RATE = 30
/** A quarter of it is longer than the health checks' interval. So long, a node that is probed accepts requests. */
const DRAIN_S = 6
/** Milliseconds until each proxy has probed each node: Traefik does so for the first time after an interval. */
const PROBED_MS = 1_500
const TRANSPORTS: readonly Door[] = ['websocket', 'sse', 'long-poll']
/** Of each transport, so that the proxy gives each node some of them. */
const CLIENTS = 2
/** Milliseconds between requests of a client without the SDK. */
const PACE_MS = 40

/** Those whose chapter has several nodes. Caddy's are in `deploy/Caddyfile`. */
const SEVERAL = ['nginx', 'HAProxy', 'Traefik', 'Envoy']
describe.each(KINDS.filter(({ name }) => SEVERAL.includes(name)))('$name with two nodes', (kind) => {
  let cluster: ParleyCluster
  let proxy: GuideProxy
  const clients: ParleyClient[] = []

  beforeEach(async () => {
    const env = { PARLEY_DRAIN: String(DRAIN_S), PARLEY_REQUEST_RATE: '10000', PARLEY_ACK_WAIT_MS: '2000' }
    cluster = await ParleyCluster.start({ nodes: 2, env })
    const [one, two] = cluster.nodes.map(({ server }) => server.port)
    proxy = await GuideProxy.start(kind, one ?? 0, two ?? 0)
  })
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()))
    await proxy?.dispose()
    await cluster?.dispose()
  })

  it('loses nothing when one node drains in mid-stream', async () => {
    const numbers = Array.from({ length: COUNT }, (_, index) => String(index)).join(' ')
    const sessions = TRANSPORTS.flatMap((transport) =>
      Array.from({ length: CLIENTS }, () => {
        const client = new ParleyClient({ url: proxy.origin, transport })
        clients.push(client)
        return client.session(makeId('s'))
      }),
    )
    const started: Promise<void>[] = []
    const texts = sessions.map(async (session) => {
      let begun = (): void => undefined
      started.push(new Promise((resolve) => (begun = resolve)))
      let text = ''
      for await (const part of session.send(`/demo count=${COUNT} rate=${RATE} ttft=0`).text()) {
        text += part
        begun()
      }
      return text
    })
    await Promise.all([...started, sleep(PROBED_MS)])
    let drained = false
    const stopped = cluster.nodes[0]?.server.stop().finally(() => {
      drained = true
    })
    const statuses = new Map<string, number>()
    while (!drained) {
      const answers = await Promise.all([read(proxy.origin), command(proxy.origin)])
      for (const { url, status } of answers) {
        const key = `${new URL(url).pathname.split('/').at(-1)} ${status}`
        statuses.set(key, (statuses.get(key) ?? 0) + 1)
      }
      await sleep(PACE_MS)
    }
    expect(await stopped).toBe(0)
    expect(await Promise.all(texts)).toEqual(sessions.map(() => numbers))
    expect([...statuses.keys()].sort()).toEqual(['hello 200', 'messages 202'])
    expect(sessions.map(({ state }) => state.faults)).toEqual(sessions.map(() => 0))
    // The clients of the node that drained reconnected.
    expect(clients.some(({ state }) => state.resumes > 0)).toBe(true)
  })
})

function read(origin: string): Promise<Response> {
  return fetch(`${origin}/v1/hello`)
}

/** A POST: nginx repeats it only with `non_idempotent`. */
function command(origin: string): Promise<Response> {
  return fetch(`${origin}/v1/sessions/${makeId('s')}/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': makeId('c'), Prefer: 'respond-async' },
    body: JSON.stringify({ content: '/demo count=1' }),
  })
}
