// ActiveReaders: who reads in whichever way is known, and who left a moment ago; nothing of it grows.
import { expect, it } from 'vitest'
import { ActiveReaders } from './active-readers.ts'

function activeReaders(followed: readonly string[] = []) {
  const clock = { now: 0 }
  return { clock, all: new ActiveReaders({ follows: (session) => followed.includes(session) }, () => clock.now) }
}

it('knows those who follow, who stay on the line, and who ask now and then', () => {
  const { all, clock } = activeReaders(['followed'])
  expect(['followed', 'other'].map((session) => all.isHere(session))).toEqual([true, false])
  const leave = all.wait('waiting')
  clock.now = 1e6
  expect(all.isHere('waiting')).toBe(true)
  leave()
  leave()
  // Most leave because the run has ended: they were there.
  clock.now += 4_000
  expect(all.isHere('waiting')).toBe(true)
  clock.now += 2_000
  expect(all.isHere('waiting')).toBe(false)
  all.ask('asked')
  clock.now += 59_000
  expect(all.isHere('asked')).toBe(true)
  clock.now += 2_000
  expect(all.isHere('asked')).toBe(false)
})

it('does not let one who leaves take away what another has asked', () => {
  const { all, clock } = activeReaders()
  const leave = all.wait('s')
  all.ask('s')
  leave()
  clock.now = 30_000
  expect(all.isHere('s')).toBe(true)
})

it('forgets the oldest of very many', () => {
  const { all } = activeReaders()
  for (let number = 0; number < 10_001; number += 1) all.ask(`s${number}`)
  expect([all.isHere('s0'), all.isHere('s1'), all.isHere('s10000')]).toEqual([false, true, true])
})

it('asks other nodes only about those of whom nothing is known here', async () => {
  const { all } = activeReaders(['here'])
  const asked: string[] = []
  const scatterGather = (answers: readonly unknown[]) => ({
    ask: async (session: string) => {
      asked.push(session)
      return answers
    },
    answerWith: () => ({ close: () => undefined }),
  })
  expect(await all.isAnywhere('here', scatterGather([]))).toBe(true)
  expect(asked).toEqual([])
  expect(await all.isAnywhere('s', scatterGather([]))).toBe(false)
  expect(await all.isAnywhere('s', scatterGather(['odd', null, { count: 0, isRead: false }]))).toBe(false)
  expect(await all.isAnywhere('s', scatterGather([{ count: 0 }, { isRead: true }]))).toBe(true)
  expect(await all.isAnywhere('s', scatterGather([{ count: 2 }]))).toBe(true)
  expect(await all.isAnywhere('s', undefined)).toBe(false)
})
