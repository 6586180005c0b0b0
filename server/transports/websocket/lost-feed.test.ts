// What readers are sent when the log can no longer be followed from where they are.
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

test('a reader goes on from where it is when the log was away', async () => {
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

// An entry that is found in the midst of others, too late, was missed by all who had those.
test('a reader begins anew when what it was sent may lack an entry', async () => {
  await harness.startRun('s', 'r')
  await harness.say('s', 'r', 0, 2)
  const client = await live('s')
  followers[0]?.lost?.(new CursorLost('trimmed'))
  expect(await client.next('attached')).toMatchObject({ id: 'a', session: 's', reset: true })
  await client.next('live')
  expect(client.indexes('s')).toEqual([0, 1, 0, 1])
})
