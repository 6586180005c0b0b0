// Several real nodes on one NATS: a run survives any loss of its node, and its reader receives every byte over another
// node. Also node roles, and an outage of NATS.
import { connect } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { parseSign } from '../store/jetstream/takeover/sign.ts'
import { CommandError, demoCount, StrictClient } from './strict-client.ts'

/** A run of seven seconds: enough time to start another node. */
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

/** Nodes with their own installation. */
function installation(settings: Readonly<Record<string, string>> = {}) {
  const prefix = `nodes${prefixes++}`
  let count = 0
  return async (more: Readonly<Record<string, string>> = {}): Promise<ServerProcess> => {
    const node = await ServerProcess.start({
      PARLEY_NATS_URL: nats.url,
      PARLEY_NATS_PREFIX: prefix,
      PARLEY_NODE: `node${++count}`,
      PARLEY_DRAIN: '1',
      // Longer than the tests: nodes must notice without it that another one is dead.
      PARLEY_ACK_WAIT_MS: '300000',
      ...settings,
      ...more,
    })
    started.push(node)
    return node
  }
}

/** Starts a node, and waits until it has learned which runs the others drive: before, it could return none of them. */
async function startInformed(start: () => Promise<ServerProcess>): Promise<ServerProcess> {
  const observer = await connect({ servers: nats.url })
  try {
    const rosters = observer.subscribe('*.node.*')
    await observer.flush()
    const node = await start()
    for await (const message of rosters) {
      const { whole, took = [] } = parseSign(message.json()) ?? {}
      if (whole !== undefined && took.length > 0) break
    }
    return node
  } finally {
    await observer.close()
  }
}

async function attachTo(node: ServerProcess, session: string): Promise<StrictClient> {
  const client = new StrictClient(node.url)
  await client.connect()
  await client.attach(session)
  return client
}

/** Moves a reader with its state to another node. */
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

/** For conditions without an event; the timeout is generous for slow machines. */
const WAIT = { timeout: 20_000, interval: 20 }

// On a busy machine the second driver may be replaced, too, so the last epoch may be above 2.
describe('an active run', () => {
  it('is handed over by a node that shuts down, without a timeout', async () => {
    const start = installation()
    const first = await start()
    const reader = await attachTo(first, 'handed')
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
    expect(moved.session('handed').run(run).ended?.epoch).toBeGreaterThanOrEqual(2)
  })

  it('is taken over when its node is killed', async () => {
    const start = installation()
    const first = await start()
    const reader = await attachTo(first, 'killed')
    const { run = '' } = await reader.send('killed', ASK)
    await hasText(reader, 'killed', run)
    const second = await startInformed(start)
    await first.kill()
    const moved = await move(reader, second, 'killed')
    await moved.ended('killed', run)
    expectWhole(moved, 'killed', run)
    expect(moved.session('killed').run(run).ended?.epoch).toBeGreaterThanOrEqual(2)
  })

  it('is not disturbed by a stalled driver that was replaced', async () => {
    const start = installation()
    const first = await start()
    const reader = await attachTo(first, 'stalled')
    const { run = '' } = await reader.send('stalled', ASK)
    await hasText(reader, 'stalled', run)
    const second = await startInformed(start)
    const moved = await move(reader, second, 'stalled')
    const takenOver = moved.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.started')
    first.stall()
    await takenOver
    first.resume()
    await moved.ended('stalled', run)
    expectWhole(moved, 'stalled', run)
    expect(moved.session('stalled').run(run).ended?.epoch).toBeGreaterThanOrEqual(2)
    const returned = await attachTo(first, 'stalled')
    await expect.poll(() => returned.session('stalled').run(run).ended, WAIT).toBeDefined()
    expect(returned.session('stalled').run(run).text).toBe(demoCount(COUNT))
  })
})

describe('a node’s role', () => {
  it('gateways drive no runs, and workers accept no clients', async () => {
    const start = installation()
    const gateway = await start({ PARLEY_ROLE: 'gateway' })
    const reader = await attachTo(gateway, 'roles')
    const { run = '' } = await reader.send('roles', ASK)
    expect(reader.session('roles').run(run).started).toBe(0)
    // A worker needs no authentication, because it accepts no clients.
    const worker = await start({ PARLEY_ROLE: 'worker', PARLEY_HOST: '0.0.0.0' })
    await reader.ended('roles', run)
    expectWhole(reader, 'roles', run)
    expect([await ready(gateway), await ready(worker)]).toEqual([200, 200])
    await expect(new StrictClient(worker.url).connect()).rejects.toThrow('404')
  })
})

describe('with NATS', () => {
  it('unavailable, a node notifies readers, refuses commands, is not ready, and recovers', async () => {
    const start = installation()
    const node = await start()
    const reader = await attachTo(node, 'away')
    const { run = '' } = await reader.send('away', ASK)
    await hasText(reader, 'away', run)
    const notified = reader.frame((frame) => frame.type === 'error' && frame.id === undefined)
    await nats.kill()
    expect(await notified).toMatchObject({ code: 'unavailable', retryable: true })
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

  it('configured differently, the start fails with a message', async () => {
    const start = installation()
    await start()
    await expect(start({ PARLEY_NATS_MAX_BYTES: '10000000' })).rejects.toThrow(
      /PARLEY_NATS_URL: stream NODES\d+_SESSIONS is configured differently: max_bytes should be 10000000, and is -1/,
    )
  })
})
