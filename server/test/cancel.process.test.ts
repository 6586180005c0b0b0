// The second promise: an acknowledged cancel is final. A second connection cancels 1,000 runs at random moments. After
// its `ok` it gets no output of the run, all readers end at the same index, and the log has no later entry of the run.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeId } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { CommandError, StrictClient, seeded, TEST_SEED } from './strict-client.ts'

const LANES = 50
const ROUNDS = 20

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(async () => {
  await server.dispose()
})

describe('a cancel', () => {
  it(`is final: ${LANES * ROUNDS} at random moments, from a second connection (seed ${TEST_SEED})`, async () => {
    const random = seeded(TEST_SEED)
    let cancelled = 0
    const lane = async (number: number): Promise<void> => {
      const session = `cancel_${number}`
      const sender = new StrictClient(server.url, { codec: 'msgpack' })
      const canceller = new StrictClient(server.url, { codec: number % 2 === 0 ? 'json' : 'msgpack' })
      await Promise.all([sender.connect(), canceller.connect()])
      await Promise.all([sender.attach(session), canceller.attach(session)])
      const late: string[] = []
      for (let round = 0; round < ROUNDS; round += 1) {
        // Not at full speed: the run would reach its token limit before the cancel.
        const rate = random() < 0.3 ? 4_000 : 100 + Math.floor(random() * 400)
        const { run = '' } = await sender.send(session, `/demo count=100000 rate=${rate} ttft=0`)
        await sleep(random() * 60)
        let acknowledged = false
        const stop = canceller.onFrame((frame) => {
          if (acknowledged && frame.type === 'entry' && frame.event.type === 'run.output' && frame.event.run === run) {
            late.push(`${run} index ${frame.event.index} after the ok`)
          }
          if (frame.type === 'ok' && frame.id === id) acknowledged = true
        })
        const id = makeId('c')
        const ok = await canceller.command({ type: 'cancel', id, session, run })
        expect(ok).toMatchObject({ type: 'ok', run })
        const [a, b] = await Promise.all([sender.ended(session, run), canceller.ended(session, run)])
        expect(a.ended).toMatchObject({ reason: 'cancelled', command: id })
        expect([b.next, b.text]).toEqual([a.next, a.text])
        cancelled += 1
        stop()
        // In some rounds a new reader reads the run from the log.
        if (round % 5 === 4) {
          const reader = new StrictClient(server.url)
          await reader.connect()
          const live = reader.frame((frame) => frame.type === 'live')
          await reader.attach(session)
          await live
          const stored = reader.session(session).run(run)
          expect([stored.next, stored.text, stored.ended?.reason]).toEqual([a.next, a.text, 'cancelled'])
          expect(reader.session(session).faults).toEqual([])
          reader.drop()
        }
      }
      expect(late).toEqual([])
      for (const client of [sender, canceller]) {
        expect(client.session(session).faults).toEqual([])
        for (const run of client.session(session).runs.values()) expect(run.ends).toBe(1)
        client.drop()
      }
    }
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)))
    expect(cancelled).toBe(LANES * ROUNDS)
  }, 90_000)

  it('by a redirect is final, too: no output of the old run follows the ok', async () => {
    const session = 'redirect'
    const sender = new StrictClient(server.url)
    const other = new StrictClient(server.url)
    await Promise.all([sender.connect(), other.connect()])
    await Promise.all([sender.attach(session), other.attach(session)])
    let { run = '' } = await sender.send(session, '/demo count=100000 rate=300 ttft=0')
    for (let round = 0; round < 50; round += 1) {
      const old = run
      const late: number[] = []
      let acknowledged = false
      const id = makeId('c')
      const stop = other.onFrame((frame) => {
        if (frame.type === 'ok' && frame.id === id) acknowledged = true
        else if (
          acknowledged &&
          frame.type === 'entry' &&
          frame.event.type === 'run.output' &&
          frame.event.run === old
        ) {
          late.push(frame.event.index)
        }
      })
      const ok = await other.send(session, '/demo count=100000 rate=300 ttft=0', { id, policy: 'interrupt' })
      run = ok.run ?? ''
      const [a, b] = await Promise.all([sender.ended(session, old), other.ended(session, old)])
      expect(a.ended).toMatchObject({ reason: 'superseded', command: id })
      expect(b.next).toBe(a.next)
      await other.frame(
        (frame) => frame.type === 'entry' && frame.event.type === 'run.output' && frame.event.run === run,
      )
      expect(late).toEqual([])
      stop()
    }
    sender.drop()
    other.drop()
  }, 30_000)

  it("closes the provider's request", async () => {
    let closed: () => void = () => undefined
    const aborted = new Promise<void>((resolve) => {
      closed = resolve
    })
    const provider = createServer((request, response) => {
      request.resume()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let token = 0
      const timer = setInterval(() => {
        const chunk = {
          id: 'x',
          object: 'chat.completion.chunk',
          created: 1,
          model: 'm',
          choices: [{ index: 0, delta: { content: `${token} ` } }],
        }
        token += 1
        response.write(`data: ${JSON.stringify(chunk)}\n\n`)
      }, 10)
      response.once('close', () => {
        clearInterval(timer)
        closed()
      })
    }).listen(0, '127.0.0.1')
    await once(provider, 'listening')
    const { port } = provider.address() as AddressInfo
    const other = await ServerProcess.start({
      PARLEY_MODEL: 'compatible:m',
      PARLEY_COMPATIBLE_URL: `http://127.0.0.1:${port}/v1`,
      PARLEY_COMPATIBLE_KEY: 'none',
    })
    const client = new StrictClient(other.url)
    await client.connect()
    await client.attach('s')
    const output = client.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.output')
    const { run = '' } = await client.send('s', 'count')
    await output
    await client.command({ type: 'cancel', id: makeId('c'), session: 's' })
    await aborted
    expect((await client.ended('s', run)).ended?.reason).toBe('cancelled')
    client.drop()
    await other.dispose()
    provider.close()
  }, 20_000)
})

describe('a command', () => {
  it('sent five times over three connections has one effect', async () => {
    const session = 'repeat'
    const clients = await Promise.all(
      [0, 1, 2].map(async () => {
        const client = new StrictClient(server.url)
        await client.connect()
        await client.attach(session)
        return client
      }),
    )
    const five = [0, 1, 2, 0, 1].map((at) => clients[at] as StrictClient)
    const reader = clients[2] as StrictClient
    const send = { type: 'send', id: makeId('c'), session, content: '/demo count=100000 rate=100 ttft=0' }
    // Two commands with the same id on one connection share a waiter, so the rest is sent afterwards.
    const oks = await Promise.all(five.slice(0, 3).map((client) => client.command(send)))
    for (const client of five.slice(3)) oks.push(await client.command(send))
    expect(new Set(oks.map((ok) => ok.type === 'ok' && ok.run)).size).toBe(1)
    expect(oks.filter((ok) => ok.type === 'ok' && ok.duplicate === true)).toHaveLength(4)

    const cancel = { type: 'cancel', id: makeId('c'), session }
    const stops = await Promise.all(five.slice(0, 3).map((client) => client.command(cancel)))
    // Another run has started in the meantime: late repeats must not cancel it.
    const next = await reader.send(session, '/demo count=20 rate=0 ttft=50')
    for (const client of five.slice(3)) stops.push(await client.command(cancel))
    expect(new Set(stops.map((ok) => ok.type === 'ok' && ok.run)).size).toBe(1)
    expect((await reader.ended(session, next.run ?? '')).ended?.reason).toBe('completed')

    const messages = reader.session(session).events.filter((event) => event.type === 'message')
    expect(messages).toHaveLength(2)
    const reused = reader.command({ ...send, content: 'something else' })
    await expect(reused).rejects.toBeInstanceOf(CommandError)
    await expect(reused).rejects.toThrow(/command_id_reused/)
    for (const client of clients) client.drop()
  }, 20_000)
})
