// The promises, all at once and at random: many sessions, each with three restless readers, over a server that is
// killed and stopped meanwhile. When all is quiet, the histories are checked. PARLEY_TEST_SEED replays the
// schedule as far as the network allows; PARLEY_TEST_SECONDS and PARLEY_TEST_SESSIONS make it longer and wider.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { pictureOf, settled } from './chaos/chaos.ts'
import { problems } from './chaos/history.ts'
import { emptyRoom, pause, RestlessReader } from './chaos/restless-reader.ts'
import { type SessionPicture, seeded } from './strict-client.ts'

const SEED = Number(process.env.PARLEY_TEST_SEED ?? Date.now() % 1_000_000)
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

describe('restless readers', () => {
  it(`find every promise kept, over ${SESSIONS} sessions in ${SECONDS} s (seed ${SEED})`, async () => {
    const random = seeded(SEED)
    const rooms = Array.from({ length: SESSIONS }, (_, number) => {
      const room = emptyRoom(`room_${number}`, [server.url])
      const readers = Array.from({ length: 3 }, (_, chair) => {
        const habits = {
          name: `${room.session}/${chair}`,
          codec: chair === 1 ? ('msgpack' as const) : ('json' as const),
          merge: chair === 2,
          random: seeded(Math.floor(random() * 2 ** 32)),
        }
        return new RestlessReader(room, habits)
      })
      return { room, readers }
    })
    const readers = rooms.flatMap((room) => room.readers)

    let over = false
    const lives = readers.map((reader) => reader.live(() => over))
    const until = performance.now() + SECONDS * 1_000
    while (performance.now() < until) {
      await pause(1_500 + random() * 2_500)
      if (random() < 0.6) await server.kill()
      else expect(await server.stop()).toBe(0)
      await pause(random() * 200)
      await server.start()
    }
    over = true
    await Promise.all(lives)
    await Promise.all(readers.map((reader) => reader.settle()))

    const quiet = performance.now() + QUIET_MS
    const left = (): number => Math.max(1, quiet - performance.now())
    await Promise.all(readers.map((reader) => reader.sees(settled, left())))
    const found: string[] = []
    await Promise.all(
      rooms.map(async ({ room, readers: old }) => {
        const name = `${room.session}/fresh`
        const fresh = new RestlessReader(room, { name, codec: 'json', merge: false, random: () => 0.99 })
        await fresh.settle()
        await fresh.sees(settled, left())
        const all = [...old, fresh]
        // Whoever is behind may catch up first.
        const expected = (): string => JSON.stringify([...pictureOf(fresh.picture)].sort())
        const same = (picture: SessionPicture): boolean => JSON.stringify([...pictureOf(picture)].sort()) === expected()
        await Promise.all(all.map((reader) => reader.sees(same, Math.min(left(), 5_000))))
        const pictures = new Map(all.map((reader) => [reader.name, pictureOf(reader.picture)]))
        found.push(...room.faults, ...problems({ records: room.records, pictures, fresh: name }))
        for (const reader of all) {
          found.push(...reader.picture.faults.map((fault) => `${reader.name}: ${fault}`))
          reader.leave()
        }
      }),
    )
    const errors = server.logs.filter((line) =>
      /"level":"(error|fatal)"|"(Type|Range|Reference)Error"|unhandled/i.test(line),
    )
    expect({ found, errors }, `seed ${SEED}`).toEqual({ found: [], errors: [] })
    expect(rooms.some(({ room }) => room.records.some((record) => record.kind === 'ok'))).toBe(true)
  }, 170_000)
})
