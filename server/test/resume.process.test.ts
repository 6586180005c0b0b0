// The first promise, through a real process: 200 sessions stream at once, clients drop and resume at random
// points on both codecs, the server is killed in the middle, and every client ends with every byte, once.
import { makeId } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { CommandError, demoCount, pause, StrictClient, seeded, TEST_SEED } from './strict-client.ts'

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

/** Connects and attaches, again and again while the server is away. */
async function comeBack(client: StrictClient, session: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await client.connect()
      await client.attach(session)
      return
    } catch (error) {
      client.drop()
      if (tries === 200) throw error
      await pause(50)
    }
  }
}

/** Sends until it is acknowledged, always with the same id. */
async function sendUntilOk(client: StrictClient, session: string, id: string): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    try {
      const ok = await client.send(session, `/demo count=${COUNT} rate=${RATE} ttft=0`, { id })
      return ok.run ?? ''
    } catch (error) {
      if (tries === 200 || (error instanceof CommandError && !error.frame.retryable)) throw error
      if (!client.open) await comeBack(client, session)
    }
  }
}

describe('200 sessions that stream at once', () => {
  it(`end with the known text on every client, through drops and two kills of the server (seed ${TEST_SEED})`, async () => {
    const random = seeded(TEST_SEED)
    let ended = 0
    const reader = async (number: number): Promise<StrictClient> => {
      const session = `resume_${number}`
      const merge = number % 3 === 0
      const client = new StrictClient(server.url, { codec: number % 2 === 0 ? 'json' : 'msgpack', merge })
      await comeBack(client, session)
      const run = await sendUntilOk(client, session, makeId('c'))
      const done = (): boolean => client.session(session).run(run).ended !== undefined
      while (!done()) {
        // Stay a while; then drop in mid-stream, stay away a while, and come back.
        await Promise.race([pause(200 + random() * 2_500), client.ended(session, run)])
        if (done()) break
        client.drop()
        await pause(random() * 400)
        await comeBack(client, session)
      }
      ended += 1
      expect(client.session(session).run(run).text).toBe(demoCount(COUNT))
      return client
    }
    const readers = Array.from({ length: SESSIONS }, (_, number) => reader(number))
    for (const after of [2_000, 2_500]) {
      await pause(after)
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
    // Who comes anew sees the same.
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
