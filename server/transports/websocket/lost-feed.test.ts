// Readers whose feed is lost: after an outage they continue, after a gap they are reset.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CursorLost, StorageError } from '../../store/ports/errors.ts'
import type { Follower } from '../../store/ports/session-log.ts'
import { TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness
let followers: Follower[]

beforeEach(async () => {
  harness = await TransportHarness.open()
  followers = []
  const { log } = harness.stores
  const follow = log.follow.bind(log)
  log.follow = async (session, after, follower) => {
    followers.push(follower)
    return follow(session, after, follower)
  }
})

afterEach(async () => {
  await harness.close()
})

async function live(session: string) {
  const client = await harness.enter()
  client.send({ type: 'attach', id: 'a', session })
  await client.next('live')
  return client
}

test('continues from the reader’s position after an outage of the log', async () => {
  await harness.startRun('s', 'r')
  await harness.say('s', 'r', 0, 2)
  const client = await live('s')
  followers[0]?.lost?.(new StorageError('unavailable'))
  await client.next('live')
  await harness.say('s', 'r', 2, 3)
  await client.when(() => client.indexes('s').at(-1) === 2)
  expect(client.indexes('s')).toEqual([0, 1, 2])
  expect(client.frames.filter(({ type }) => type === 'attached')).toHaveLength(1)
})

// An entry that is found too late, before already delivered ones, was missed by all live readers.
test('resets a reader if its entries may have a gap', async () => {
  await harness.startRun('s', 'r')
  await harness.say('s', 'r', 0, 2)
  const client = await live('s')
  followers[0]?.lost?.(new CursorLost('trimmed'))
  expect(await client.next('attached')).toMatchObject({ id: 'a', session: 's', reset: true })
  await client.next('live')
  expect(client.indexes('s')).toEqual([0, 1, 0, 1])
})
