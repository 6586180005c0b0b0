// The bound on something that may never answer: what is overdue, what is not, and time in which the process stood still.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { stallTolerantTimeout } from './stall-tolerant-timeout.ts'

/** Nothing else happens in this process. */
function standStill(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

it('tells that something is overdue, once', async () => {
  let told = 0
  const began = performance.now()
  await new Promise<void>((resolve) => {
    stallTolerantTimeout(60, () => {
      told += 1
      resolve()
    })
  })
  expect(performance.now() - began).toBeGreaterThan(40)
  await delay(80)
  expect(told).toBe(1)
})

it('says nothing of what was answered in time', async () => {
  let told = 0
  const answered = stallTolerantTimeout(40, () => {
    told += 1
  })
  answered()
  await delay(80)
  expect(told).toBe(0)
})

it('does not count the time in which the process stood still', async () => {
  let told = 0
  const answered = stallTolerantTimeout(100, () => {
    told += 1
  })
  standStill(400)
  // What came meanwhile is read before the next tick.
  await new Promise((resolve) => setImmediate(resolve))
  expect(told).toBe(0)
  answered()
})
