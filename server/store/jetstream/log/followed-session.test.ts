// A feed beside a log whose answers come when the test says: what cannot be timed with a real server.
import { expect, it } from 'vitest'
import { createLogger } from '../../../config/logger.ts'
import { Entry, type Seq } from '../../ports/entry.ts'
import { FollowedSession } from './followed-session.ts'
import { CacheBudget } from './recent-entries.ts'
import type { Stored } from './record.ts'
import type { Between, SessionSource } from './session-source.ts'

function stored(seq: Seq, prev: Seq, rollup = false): Stored {
  const entry = new Entry({ seq, prev, subject: 'run.a', time: 0, rollup, json: '{}' })
  return { entry, known: prev, id: `id-${seq}` }
}

it('tells nobody of the newest of a run whose older entries were rolled up while they were read', async () => {
  let tip = 10
  const answers: ((between: Between) => void)[] = []
  const source = {
    tip: async () => tip,
    between: () => new Promise<Between>((resolve) => answers.push(resolve)),
  } as unknown as SessionSource
  const feed = new FollowedSession({
    session: 's',
    source,
    budget: new CacheBudget(),
    logger: createLogger('silent', 'test'),
    turn: (work) => work(),
    idle: () => undefined,
  })
  feed.start()
  await feed.live()

  const extended = feed.extend(5)
  feed.received(stored(11, 10))
  // Rolled up, but not here yet: of what was before 11 nothing is left to read.
  tip = 12
  await expect.poll(() => answers.length).toBe(1)
  answers[0]?.({ entries: [], rolledUp: true })
  await new Promise((resolve) => setImmediate(resolve))
  expect(feed.recent(5)).toBeUndefined()

  const whole = stored(12, 11, true)
  feed.received(whole)
  expect(await extended).toBe(true)
  expect(feed.recent(5)).toEqual([whole.entry])
  feed.close()
})
