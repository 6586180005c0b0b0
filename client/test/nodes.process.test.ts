// Tests the client over plain HTTP with two nodes that get alternating requests: a stream from one node shows what the
// other has done, and a tool that one node knows runs for a call of the other.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ParleyCluster } from '../../bench/cluster/parley-cluster.ts'
import { type Door, ParleyClient, type Session, tool } from '../index.ts'
import { Middlebox } from './middlebox.ts'
import { until } from './until.ts'

let cluster: ParleyCluster
let box: Middlebox
const clients: ParleyClient[] = []

beforeAll(async () => {
  cluster = await ParleyCluster.start({ nodes: 2, env: { PARLEY_ACK_WAIT_MS: '300000', PARLEY_DRAIN: '1' } })
  box = await Middlebox.open(cluster.nodes.map(({ server }) => server.port))
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await box.close()
  await cluster.dispose()
})

function connect(transport: Door): ParleyClient {
  const client = new ParleyClient({ url: box.url, transport, reconnect: { baseMs: 20, maxMs: 200 } })
  clients.push(client)
  return client
}

function counted(count: number): string {
  return Array.from({ length: count }, (_, i) => String(i)).join(' ')
}

async function all(texts: AsyncIterable<string>): Promise<string> {
  let whole = ''
  for await (const text of texts) whole += text
  return whole
}

/** Resolves when a run has counted this far. Outputs may be merged, so their number is not counted. */
function reached(session: Session, number: number): Promise<unknown> {
  return until(session, (view) => [...view.runs.values()].some((run) => run.text.includes(` ${number} `)))
}

describe.each(['sse', 'long-poll'] as const)('with alternating nodes, over %s', (door) => {
  it('every byte arrives once, despite cuts and a killed node', async () => {
    const client = connect(door)
    const sessions = Array.from({ length: 4 }, (_, i) => client.session(`nodes_${door}_${i}`))
    const replies = sessions.map((session) => session.send('/demo count=100 rate=50'))
    const texts = replies.map((reply) => all(reply.text()))
    for (const index of [10, 20, 30]) {
      await reached(sessions[0] as Session, index)
      box.cut()
    }
    const victim = cluster.nodes[1]?.server
    await victim?.kill()
    await reached(sessions[0] as Session, 60)
    await victim?.start()
    expect(await Promise.all(texts)).toEqual(texts.map(() => counted(100)))
    for (const { state } of sessions) {
      expect(state.faults).toBe(0)
      expect(state.messages.length).toBe(1)
    }
  })

  it('a cancel and a redirect are final, and their effects are visible before they resolve', async () => {
    const session = connect(door).session(`nodes_${door}_cancel`)
    for (const end of ['cancelled', 'superseded']) {
      const reply = session.send('/demo count=1000 rate=100')
      const { run } = await reply.accepted
      await until(session, (view) => view.runs.get(run)?.text.includes(' 10 ') === true)
      const next = end === 'superseded' ? session.redirect('/demo count=5 rate=0') : undefined
      await (next === undefined ? session.cancel() : next.accepted)
      const held = session.state.runs.get(run)
      expect(held?.status).toBe(end)
      await (next ?? session.send('/demo count=5 rate=0')).result()
      expect({ ...session.state.runs.get(run), usage: held?.usage }).toEqual(held)
    }
  })

  it('a tool runs once, although its declaration, claim and result reach different nodes', async () => {
    let runs = 0
    const add = tool<{ a: number; b: number }>({
      name: 'add',
      execute: ({ a, b }) => {
        runs += 1
        return { sum: a + b }
      },
    })
    const session = connect(door).session(`nodes_${door}_tool`, { tools: [add] })
    for (const b of [1, 2, 3]) {
      const text = await all(session.send(`/demo tool=add input={"a":40,"b":${b}} count=2 rate=0`).text())
      expect(text).toContain(`{"sum":${40 + b}}`)
    }
    expect(runs).toBe(3)
  })
})
