// A load balancer that asks every 10 s once got the result of its previous request: a node with a full disk was ready.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { StorageProbe } from './storage-probe.ts'

const logger = pino({ level: 'silent' })
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

it('reports a full disk at the first check, and free space at the next', async () => {
  let isFull = false
  const store = vi.fn(async () => {
    if (isFull) throw new Error('full')
  })
  const probe = new StorageProbe({ probe: store, logger })
  expect(await probe.check()).toBe(true)
  for (const full of [true, false]) {
    isFull = full
    vi.advanceTimersByTime(10_000)
    expect(await probe.check()).toBe(!full)
  }
  await Promise.all([probe.check(), probe.check()])
  expect(store).toHaveBeenCalledTimes(3)
})

it('answers although a probe hangs, with the last result and later that nothing can be stored', async () => {
  let hangs = false
  let end = (): void => undefined
  const hung = new Promise<void>((resolve) => {
    end = resolve
  })
  const probe = new StorageProbe({ probe: async () => (hangs ? hung : undefined), logger })
  expect(await probe.check()).toBe(true)
  hangs = true
  vi.advanceTimersByTime(10_000)
  expect(await probe.check()).toBe(true)
  vi.advanceTimersByTime(5_000)
  expect(await probe.check()).toBe(false)
  end()
  await nextTurn()
  hangs = false
  expect(await probe.check()).toBe(true)
})
