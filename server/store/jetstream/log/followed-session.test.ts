// FollowedSession with a log that answers when the test decides: races that cannot be timed with a real server.
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

it('withholds the newest entries of a run whose older entries were compacted during the read', async () => {
  let tip = 10
  const answers: ((between: Between) => void)[] = []
  const source = {
    tip: async () => tip,
    between: () => new Promise<Between>((resolve) => answers.push(resolve)),
  } as unknown as SessionSource
  const followed = new FollowedSession('s', {
    source,
    budget: new CacheBudget(),
    logger: createLogger('silent', 'test'),
    withSlot: (work) => work(),
    onIdle: () => undefined,
  })
  followed.start()
  await followed.live()

  const extended = followed.extend(5)
  followed.receive(stored(11, 10))
  // The run is compacted, but its rollup has not arrived: the entries before 11 no longer exist.
  tip = 12
  await expect.poll(() => answers.length).toBe(1)
  answers[0]?.({ entries: [], compacted: true })
  await new Promise((resolve) => setImmediate(resolve))
  expect(followed.recent(5)).toBeUndefined()

  const rollup = stored(12, 11, true)
  followed.receive(rollup)
  expect(await extended).toBe(true)
  expect(followed.recent(5)).toEqual([rollup.entry])
  followed.close()
})
