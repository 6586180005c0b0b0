// Several real nodes on one NATS: a run outlives the node that drives it, however that goes, and its reader, who comes
// back to another node, sees every byte of it. Roles do what they say, and NATS may go and come back.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { CommandError, demoCount, StrictClient } from './strict-client.ts'

/** Seven seconds of it: another node is up well before they are over. */
const COUNT = 210
const ASK = `/demo count=${COUNT} rate=30 ttft=0`

let nats: NatsServer
let prefixes = 0
const started: ServerProcess[] = []

beforeAll(async () => {
  nats = await NatsServer.start()
})
afterAll(() => nats.dispose())
afterEach(async () => {
  await nats.start()
  await Promise.all(started.splice(0).map((node) => node.dispose()))
})

/** Nodes of one installation of their own. */
function installation(settings: Readonly<Record<string, string>> = {}) {
  const prefix = `nodes${prefixes++}`
  let count = 0
  return async (more: Readonly<Record<string, string>> = {}): Promise<ServerProcess> => {
    const node = await ServerProcess.start({
      PARLEY_NATS_URL: nats.url,
      PARLEY_NATS_PREFIX: prefix,
      PARLEY_NODE: `node${++count}`,
      PARLEY_DRAIN: '1',
      PARLEY_ACK_WAIT_MS: '1000',
      ...settings,
      ...more,
    })
    started.push(node)
    return node
  }
}

async function come(node: ServerProcess, session: string): Promise<StrictClient> {
  const client = new StrictClient(node.url)
  await client.connect()
  await client.attach(session)
  return client
}

/** The same reader, on another node, with what he holds. */
async function move(from: StrictClient, to: ServerProcess, session: string): Promise<StrictClient> {
  from.drop()
  const client = new StrictClient(to.url)
  client.sessions.set(session, from.session(session))
  await client.connect()
  await client.attach(session)
  return client
}

async function hasText(client: StrictClient, session: string, run: string): Promise<void> {
  if (client.session(session).run(run).text.length > 0) return
  await client.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.output' && frame.event.run === run)
}

function expectWhole(client: StrictClient, session: string, run: string): void {
  const picture = client.session(session)
  expect(picture.faults).toEqual([])
  expect(picture.run(run)).toMatchObject({ text: demoCount(COUNT), ends: 1 })
  expect(picture.run(run).ended?.reason).toBe('completed')
}

async function ready(node: ServerProcess): Promise<number> {
  return (await fetch(`http://127.0.0.1:${node.port}/readyz`)).status
}

/** Of what tells nobody that it has happened; the bound is the machine's patience. */
const WAIT = { timeout: 20_000, interval: 20 }

describe('a run under way', () => {
  it('is handed over by a node that is told to stop: no other waits for it to fall silent', async () => {
    // Longer than this test may take.
    const start = installation({ PARLEY_ACK_WAIT_MS: '300000' })
    const first = await start()
    const reader = await come(first, 'handed')
    const { run = '' } = await reader.send('handed', ASK)
    await hasText(reader, 'handed', run)
    const second = await start()
    const goaway = reader.frame((frame) => frame.type === 'goaway')
    const stopped = first.stop()
    await goaway
    const moved = await move(reader, second, 'handed')
    expect(await stopped).toBe(0)
    await moved.ended('handed', run)
    expectWhole(moved, 'handed', run)
    expect(moved.session('handed').run(run).ended?.epoch).toBe(2)
  })

  it('is taken over when its node is killed', async () => {
    const start = installation()
    const first = await start()
    const reader = await come(first, 'killed')
    const { run = '' } = await reader.send('killed', ASK)
    await hasText(reader, 'killed', run)
    const second = await start()
    await first.kill()
    const moved = await move(reader, second, 'killed')
    await moved.ended('killed', run)
    expectWhole(moved, 'killed', run)
    expect(moved.session('killed').run(run).ended?.epoch).toBe(2)
  })

  it('is not fought over by an owner that was stalled, and replaced meanwhile', async () => {
    const start = installation()
    const first = await start()
    const reader = await come(first, 'stalled')
    const { run = '' } = await reader.send('stalled', ASK)
    await hasText(reader, 'stalled', run)
    const second = await start()
    const moved = await move(reader, second, 'stalled')
    const takenOver = moved.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.started')
    first.stall()
    await takenOver
    first.resume()
    await moved.ended('stalled', run)
    expectWhole(moved, 'stalled', run)
    expect(moved.session('stalled').run(run).ended?.epoch).toBe(2)
    const back = await come(first, 'stalled')
    await expect.poll(() => back.session('stalled').run(run).ended, WAIT).toBeDefined()
    expect(back.session('stalled').run(run).text).toBe(demoCount(COUNT))
  })
})

describe('a node’s role', () => {
  it('keeps gateways from runs, and workers from clients', async () => {
    const start = installation()
    const gateway = await start({ PARLEY_ROLE: 'gateway' })
    const reader = await come(gateway, 'roles')
    const { run = '' } = await reader.send('roles', ASK)
    expect(reader.session('roles').run(run).started).toBe(0)
    // Without a token check: it has nothing to guard.
    const worker = await start({ PARLEY_ROLE: 'worker', PARLEY_HOST: '0.0.0.0' })
    await reader.ended('roles', run)
    expectWhole(reader, 'roles', run)
    expect([await ready(gateway), await ready(worker)]).toEqual([200, 200])
    await expect(new StrictClient(worker.url).connect()).rejects.toThrow('404')
  })
})

describe('when NATS', () => {
  it('is away, a node tells its readers, is not ready, refuses commands for now, and goes on when it is back', async () => {
    const start = installation()
    const node = await start()
    const reader = await come(node, 'away')
    const { run = '' } = await reader.send('away', ASK)
    await hasText(reader, 'away', run)
    const told = reader.frame((frame) => frame.type === 'error' && frame.id === undefined)
    await nats.kill()
    expect(await told).toMatchObject({ code: 'unavailable', retryable: true })
    const refused = await reader.send('away', 'Are you there?', { id: 'c1' }).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(CommandError)
    expect((refused as CommandError).frame).toMatchObject({ code: 'unavailable', retryable: true })
    await expect.poll(() => ready(node), WAIT).toBe(503)
    expect((await fetch(`http://127.0.0.1:${node.port}/healthz`)).status).toBe(200)
    const live = reader.frame((frame) => frame.type === 'live' && frame.session === 'away')
    await nats.start()
    await live
    expect(await ready(node)).toBe(200)
    await reader.ended('away', run)
    expectWhole(reader, 'away', run)
    await reader.send('away', 'Are you there?', { id: 'c1' })
    expect(reader.session('away').events.filter(({ type }) => type === 'message')).toHaveLength(2)
  })

  it('cannot be reached or is configured otherwise, the start ends with words that say so', async () => {
    const start = installation()
    await start()
    await expect(start({ PARLEY_NATS_MAX_BYTES: '10000000' })).rejects.toThrow(
      /PARLEY_NATS_URL: stream NODES\d+_SESSIONS is configured differently: max_bytes should be 10000000, and is -1/,
    )
  })
})
