// ActiveReaders: which sessions count as read, and for how long. Its memory is limited.
import { expect, it } from 'vitest'
import { ActiveReaders } from './active-readers.ts'

function activeReaders(followed: readonly string[] = []) {
  const clock = { now: 0 }
  return { clock, all: new ActiveReaders({ follows: (session) => followed.includes(session) }, () => clock.now) }
}

it('counts streams, long polls and periodic polls as reading', () => {
  const { all, clock } = activeReaders(['followed'])
  expect(['followed', 'other'].map((session) => all.isReadHere(session))).toEqual([true, false])
  const end = all.beginLongPoll('waiting')
  clock.now = 1e6
  expect(all.isReadHere('waiting')).toBe(true)
  end()
  end()
  // A long poll usually ends with the run, so it still counts for a moment.
  clock.now += 4_000
  expect(all.isReadHere('waiting')).toBe(true)
  clock.now += 2_000
  expect(all.isReadHere('waiting')).toBe(false)
  all.notePoll('asked')
  clock.now += 59_000
  expect(all.isReadHere('asked')).toBe(true)
  clock.now += 2_000
  expect(all.isReadHere('asked')).toBe(false)
})

it('does not shorten the time of a poll when a long poll ends', () => {
  const { all, clock } = activeReaders()
  const end = all.beginLongPoll('s')
  all.notePoll('s')
  end()
  clock.now = 30_000
  expect(all.isReadHere('s')).toBe(true)
})

it('forgets the oldest session above its limit', () => {
  const { all } = activeReaders()
  for (let number = 0; number < 10_001; number += 1) all.notePoll(`s${number}`)
  expect([all.isReadHere('s0'), all.isReadHere('s1'), all.isReadHere('s10000')]).toEqual([false, true, true])
})

it('queries other nodes only about sessions without a reader on this node', async () => {
  const { all } = activeReaders(['here'])
  const asked: string[] = []
  const scatterGather = (answers: readonly unknown[]) => ({
    query: async (session: string) => {
      asked.push(session)
      return answers
    },
    respondWith: () => ({ close: () => undefined }),
  })
  expect(await all.isReadAnywhere('here', scatterGather([]))).toBe(true)
  expect(asked).toEqual([])
  expect(await all.isReadAnywhere('s', scatterGather([]))).toBe(false)
  expect(await all.isReadAnywhere('s', scatterGather(['odd', null, { count: 0, isRead: false }]))).toBe(false)
  expect(await all.isReadAnywhere('s', scatterGather([{ count: 0 }, { isRead: true }]))).toBe(true)
  expect(await all.isReadAnywhere('s', scatterGather([{ count: 2 }]))).toBe(true)
  expect(await all.isReadAnywhere('s', undefined)).toBe(false)
})
