// The JetStream session directory: its contract, and lists that need more than one request.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { sessionDirectoryContract } from '../../contracts/session-directory.contract.ts'
import { JetStreamHarness } from '../../test/jetstream-harness.ts'

let server: NatsServer

beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(async () => {
  await server.dispose()
})

sessionDirectoryContract('JetStream', () => JetStreamHarness.open(server))

it('lists more sessions of a user than a server returns in one answer', async () => {
  const harness = await JetStreamHarness.open(server)
  const count = 1_100
  const note = (i: number) => {
    const members = new Map([['ann', 'owner']])
    return harness.directory.update({ session: `s${i}`, seq: 1, title: undefined, createdAt: 1, updatedAt: i, members })
  }
  await Promise.all(Array.from({ length: count }, (_, i) => note(i)))
  const first = await harness.directory.list('ann', 3)
  expect(first.map(({ session }) => session)).toEqual(['s1099', 's1098', 's1097'])
  const rest = await harness.directory.list('ann', count, first.at(-1))
  expect(rest).toHaveLength(count - 3)
  await harness.close()
})

it('keeps the newest note when two nodes write a row concurrently', async () => {
  const harness = await JetStreamHarness.open(server)
  const other = await harness.join()
  const note = (seq: number) => ({
    session: 's',
    seq,
    title: `title ${seq}`,
    createdAt: 1,
    updatedAt: seq,
    members: new Map([['ann', seq % 2 === 0 ? 'owner' : 'viewer']]),
  })
  const notes = Array.from({ length: 20 }, (_, i) =>
    (i % 2 === 0 ? harness.stores : other).directory.update(note(i + 1)),
  )
  await Promise.all(notes)
  const expected = [{ session: 's', role: 'owner', title: 'title 20', createdAt: 1, updatedAt: 20 }]
  expect(await other.directory.list('ann', 5)).toEqual(expected)
  await other.close()
  await harness.close()
})
