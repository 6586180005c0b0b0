// A run and its child run on different real nodes: either driver alone is lost, and the other one is not disturbed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { demoCount, StrictClient } from './strict-client.ts'

/** The child's run takes four seconds. */
const COUNT = 120
const ASK = `/demo ask=helper message={/demo count=${COUNT} rate=30 ttft=0} count=3 rate=0 ttft=0`
/** A node takes both runs in every second attempt. */
const ATTEMPTS = 30

const folder = mkdtempSync(join(tmpdir(), 'parley-agent-nodes-'))
const config = join(folder, 'parley.config.json')
writeFileSync(config, JSON.stringify({ agents: { lead: { agents: ['helper'] }, helper: {} } }))

let nats: NatsServer
let prefixes = 0
const started = new Map<string, ServerProcess>()

beforeAll(async () => {
  nats = await NatsServer.start()
})
afterAll(async () => {
  await nats.dispose()
  rmSync(folder, { recursive: true })
})
afterEach(async () => {
  await Promise.all([...started.values()].map((node) => node.dispose()))
  started.clear()
})

async function start(name: string, role: 'gateway' | 'worker'): Promise<ServerProcess> {
  const node = await ServerProcess.start({
    PARLEY_CONFIG: config,
    PARLEY_NATS_URL: nats.url,
    PARLEY_NATS_PREFIX: `pair${prefixes}`,
    PARLEY_NODE: name,
    PARLEY_ROLE: role,
    PARLEY_ACK_WAIT_MS: '1000',
  })
  started.set(name, node)
  return node
}

interface Pair {
  readonly session: string
  readonly parent: { readonly run: string; readonly owner: string }
  readonly child: { readonly run: string; readonly owner: string }
}

/** Asks until the two runs are on different nodes. */
async function apart(reader: StrictClient): Promise<Pair> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const session = `pair${attempt}`
    await reader.attach(session)
    const streams = reader.frame(
      (frame) => frame.type === 'entry' && frame.session === session && frame.event.type === 'run.output',
    )
    const { run = '' } = await reader.send(session, ASK, { agent: 'lead' })
    await streams
    const starts = reader.session(session).events.filter((event) => event.type === 'run.started')
    const of = (isChild: boolean) => {
      const found = starts.find(({ parent }) => (parent !== undefined) === isChild)
      return { run: found?.run ?? '', owner: found?.owner?.split('/')[0] ?? '' }
    }
    const pair = { session, parent: of(false), child: of(true) }
    if (pair.parent.owner !== pair.child.owner) return pair
    await reader.command({ type: 'cancel', id: `cancel${attempt}`, session, run })
  }
  throw new Error('One node took both runs every time.')
}

it.each(['parent', 'child'] as const)('survives the loss of the driver of its %s alone', async (lost) => {
  prefixes += 1
  const [gateway] = await Promise.all([start('front', 'gateway'), start('one', 'worker'), start('two', 'worker')])
  const reader = new StrictClient(gateway.url)
  await reader.connect()
  const pair = await apart(reader)
  await started.get(pair[lost].owner)?.kill()
  await reader.ended(pair.session, pair.parent.run)
  const { faults, events } = reader.session(pair.session)
  const [parent, child] = [pair.parent, pair.child].map(({ run }) => reader.session(pair.session).run(run))
  expect(faults).toEqual([])
  expect(child).toMatchObject({ text: demoCount(COUNT), ends: 1, ended: { reason: 'completed' } })
  expect(parent?.text).toBe(`"${demoCount(COUNT)}"\n0 1 2`)
  expect(parent).toMatchObject({ ends: 1, ended: { reason: 'completed' } })
  expect([parent?.ended?.epoch, child?.ended?.epoch]).toEqual(lost === 'parent' ? [2, 1] : [1, 2])
  // The next driver of a parent began no other child.
  expect(events.filter((event) => event.type === 'tool.called')).toHaveLength(1)
  expect(events.findLastIndex(({ type }) => type === 'run.output')).toBeLessThan(
    events.findIndex((event) => event.type === 'run.ended' && event.run === pair.parent.run),
  )
  reader.drop()
})
