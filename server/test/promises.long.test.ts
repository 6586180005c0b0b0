// All promises at random: many sessions with three clients each, over a server that is killed and stopped. At the end
// the histories are checked. PARLEY_TEST_SEED repeats the schedule as far as the network allows;
// PARLEY_TEST_SECONDS and PARLEY_TEST_SESSIONS extend the test.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { checkSessions, createSessions } from './chaos/chaos.ts'
import { seeded, TEST_SEED } from './strict-client.ts'

const SECONDS = Number(process.env.PARLEY_TEST_SECONDS ?? 10)
const SESSIONS = Number(process.env.PARLEY_TEST_SESSIONS ?? 30)
const QUIET_MS = 40_000

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start({
    PARLEY_BETWEEN_TOKENS_MS: '400',
    PARLEY_FIRST_TOKEN_MS: '2000',
    PARLEY_LEASE_MS: '1000',
    PARLEY_DRAIN: '1',
    PARLEY_RETENTION: '2',
    PARLEY_OUTBOX_BYTES: '16384',
  })
})
afterAll(async () => {
  await server.dispose()
})

describe('clients that act at random', () => {
  it(`find every promise kept, over ${SESSIONS} sessions in ${SECONDS} s (seed ${TEST_SEED})`, async () => {
    const random = seeded(TEST_SEED)
    const sessions = createSessions(SESSIONS, 'session', [server.url], random)
    const clients = sessions.flatMap((session) => session.clients)

    let stopped = false
    const acting = clients.map((client) => client.act(() => stopped))
    const until = performance.now() + SECONDS * 1_000
    while (performance.now() < until) {
      await sleep(1_500 + random() * 2_500)
      if (random() < 0.6) await server.kill()
      else expect(await server.stop()).toBe(0)
      await sleep(random() * 200)
      await server.start()
    }
    stopped = true
    await Promise.all(acting)
    await Promise.all(clients.map((client) => client.stopActing()))

    const found = await checkSessions(sessions, QUIET_MS)
    const errors = server.logs.filter((line) =>
      /"level":"(error|fatal)"|"(Type|Range|Reference)Error"|unhandled/i.test(line),
    )
    expect({ found, errors }, `seed ${TEST_SEED}`).toEqual({ found: [], errors: [] })
    expect(sessions.some(({ records }) => records.some((record) => record.kind === 'ok'))).toBe(true)
  }, 170_000)
})
