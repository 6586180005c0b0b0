// The first promise, with a real process: 200 sessions stream concurrently, clients disconnect and resume at random
// points with both codecs, the server is killed in between, and every client receives every byte once.
import { setTimeout as sleep } from 'node:timers/promises'
import { makeId } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { CommandError, demoCount, StrictClient, seeded, TEST_SEED } from './strict-client.ts'

const SESSIONS = 200
const COUNT = 150
const RATE = 25

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(async () => {
  await server.dispose()
})

/** Connects and attaches, with retries while the server is down. */
async function reconnect(client: StrictClient, session: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await client.connect()
      await client.attach(session)
      return
    } catch (error) {
      client.drop()
      if (tries === 200) throw error
      await sleep(50)
    }
  }
}

/** Retries with the same id until the message is acknowledged. */
async function sendUntilOk(client: StrictClient, session: string, id: string): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    try {
      const ok = await client.send(session, `/demo count=${COUNT} rate=${RATE} ttft=0`, { id })
      return ok.run ?? ''
    } catch (error) {
      if (tries === 200 || (error instanceof CommandError && !error.frame.retryable)) throw error
      if (!client.open) await reconnect(client, session)
    }
  }
}

describe('200 sessions that stream concurrently', () => {
  it(`give every client the known text, despite drops and two kills of the server (seed ${TEST_SEED})`, async () => {
    const random = seeded(TEST_SEED)
    let ended = 0
    const reader = async (number: number): Promise<StrictClient> => {
      const session = `resume_${number}`
      const merge = number % 3 === 0
      const client = new StrictClient(server.url, { codec: number % 2 === 0 ? 'json' : 'msgpack', merge })
      await reconnect(client, session)
      const run = await sendUntilOk(client, session, makeId('c'))
      const done = (): boolean => client.session(session).run(run).ended !== undefined
      while (!done()) {
        // Reads for a while, disconnects, waits, and resumes.
        await Promise.race([sleep(200 + random() * 2_500), client.ended(session, run)])
        if (done()) break
        client.drop()
        await sleep(random() * 400)
        await reconnect(client, session)
      }
      ended += 1
      expect(client.session(session).run(run).text).toBe(demoCount(COUNT))
      return client
    }
    const readers = Array.from({ length: SESSIONS }, (_, number) => reader(number))
    for (const after of [2_000, 2_500]) {
      await sleep(after)
      expect(ended).toBeLessThan(SESSIONS)
      await server.kill()
      await server.start()
    }
    const clients = await Promise.all(readers)
    const faults = clients.flatMap((client) => [...client.sessions.values()].flatMap((session) => session.faults))
    expect(faults).toEqual([])
    for (const client of clients) {
      for (const session of client.sessions.values()) {
        for (const run of session.runs.values()) expect(run.ended?.reason).toBe('completed')
      }
      client.drop()
    }
    // A new client gets the same text.
    const late = new StrictClient(server.url)
    await late.connect()
    for (let number = 0; number < SESSIONS; number += 20) {
      const session = `resume_${number}`
      const live = late.frame((frame) => frame.type === 'live' && frame.session === session)
      await late.attach(session)
      await live
      expect([...late.session(session).runs.values()].map((run) => run.text)).toEqual([demoCount(COUNT)])
      expect(late.session(session).faults).toEqual([])
    }
    late.drop()
  }, 90_000)
})
