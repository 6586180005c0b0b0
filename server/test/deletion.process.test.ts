// Deletion of a session on real servers: two nodes on one NATS, with readers on every transport and an active run, and
// servers that are killed during the deletion. The tests search all stored data for the deleted text.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { messagesWith } from '../store/test/stream-texts.ts'
import { StrictClient } from './strict-client.ts'

const SECRET = 'XYZZYPLUGH'
/** A run that takes longer than a test, and outputs the secret. */
const ASK = `/demo count=2000 rate=50 ttft=0\n${SECRET}`
const WAIT = { timeout: 20_000, interval: 20 }

let nats: NatsServer
let prefixes = 0
const started: ServerProcess[] = []

beforeAll(async () => {
  nats = await NatsServer.start()
})
afterAll(() => nats.dispose())
afterEach(async () => {
  await Promise.all(started.splice(0).map((node) => node.dispose()))
})

async function start(env: Readonly<Record<string, string>>): Promise<ServerProcess> {
  const node = await ServerProcess.start(env)
  started.push(node)
  return node
}

/** Nodes with their own installation. */
function installation() {
  const prefix = `gone${prefixes++}`
  let count = 0
  const node = () => start({ PARLEY_NATS_URL: nats.url, PARLEY_NATS_PREFIX: prefix, PARLEY_NODE: `node${++count}` })
  return { node, held: (text: string) => messagesWith(nats.url, prefix, text) }
}

async function attachTo(node: ServerProcess): Promise<StrictClient> {
  const client = new StrictClient(node.url)
  await client.connect()
  await client.attach('s')
  return client
}

const detached = (reader: StrictClient) =>
  reader.frame((frame) => frame.type === 'error' && frame.code === 'session_deleted' && frame.session === 's')

const ask = (node: ServerProcess, path = '', init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${node.port}/v1/sessions${path}`, init)

const output = (reader: StrictClient) =>
  reader.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.output')

describe('a session that is deleted during a run', () => {
  it('ends on every node and transport with its run, and leaves no data in any stream', async () => {
    const { node, held } = installation()
    const [here, there] = [await node(), await node()]
    const readers = [await attachTo(here), await attachTo(there)]
    const outputs = readers.map(output)
    await readers[0]?.send('s', ASK)
    await Promise.all(outputs)
    expect((await held(SECRET)).length).toBeGreaterThan(0)
    const ended = readers.map(detached)
    const stream = await ask(here, '/s/events', { headers: { Accept: 'text/event-stream' } })
    // A poll without `wait`, because the run continues.
    const polls = ask(here, '/s/events?wait=0').then((answer) => answer.status)
    expect(await polls).toBe(200)
    expect((await ask(there, '/s', { method: 'DELETE' })).status).toBe(204)
    await Promise.all(ended)
    expect(await stream.text()).toMatch(/"code":"session_deleted"[^\n]*\n+$/)
    for (const at of [here, there]) {
      for (const path of ['/s', '/s/events', '/s/events?wait=9']) expect((await ask(at, path)).status).toBe(410)
      await expect(attachTo(at)).rejects.toThrow('session_deleted')
      const { sessions } = await (await ask(at)).json()
      expect(sessions).toEqual([])
    }
    expect(await held(SECRET)).toEqual([])
    // The driver has stopped: otherwise the purged subjects would fill again.
    const remaining = await held('.s.')
    expect(remaining.filter((subject) => subject.includes('.log.'))).toEqual([expect.stringMatching(/\.log\.s\.meta$/)])
    for (const line of [...here.logs, ...there.logs]) expect(line).not.toMatch(/"level":"(error|fatal)"/)
  })

  it('is not written to by a driver that was stalled during the deletion', async () => {
    const { node, held } = installation()
    const here = await node()
    const reader = await attachTo(here)
    const outputs = output(reader)
    await reader.send('s', ASK)
    await outputs
    const there = await node()
    here.stall()
    expect((await ask(there, '/s', { method: 'DELETE' })).status).toBe(204)
    expect(await held(SECRET)).toEqual([])
    const ended = detached(reader)
    here.resume()
    await ended
    await expect(attachTo(here)).rejects.toThrow('session_deleted')
    expect((await held('.log.s.')).length).toBe(1)
    expect(await held(SECRET)).toEqual([])
  })

  it('is purged by a new node if the node that deleted it was killed', async () => {
    const { node, held } = installation()
    const [here, there] = [await node(), await node()]
    const reader = await attachTo(there)
    const outputs = output(reader)
    await reader.send('s', ASK)
    await outputs
    const ended = detached(reader)
    const deleting = ask(here, '/s', { method: 'DELETE' }).catch(() => undefined)
    await ended
    await here.kill()
    await deleting
    const other = await node()
    await expect.poll(() => held(SECRET), WAIT).toEqual([])
    for (const at of [there, other]) expect((await ask(at, '/s')).status).toBe(410)
  })
})

describe('the embedded log', () => {
  it('is purged after a restart if the server was killed during the deletion', async () => {
    const server = await start({})
    const reader = await attachTo(server)
    const outputs = output(reader)
    await reader.send('s', ASK)
    await outputs
    const journal = join(server.data, 'data', 'journal')
    const holds = () => readdirSync(journal).some((name) => readFileSync(join(journal, name)).includes(SECRET))
    expect(holds()).toBe(true)
    const ended = detached(reader)
    const deleting = ask(server, '/s', { method: 'DELETE' }).catch(() => undefined)
    await ended
    await server.kill()
    await deleting
    await server.start()
    await expect.poll(holds, WAIT).toBe(false)
    expect((await ask(server, '/s')).status).toBe(410)
    const late = { method: 'POST', body: '{"content":"hi"}', headers: { 'Content-Type': 'application/json' } }
    expect((await ask(server, '/s/messages', late)).status).toBe(410)
  })
})
