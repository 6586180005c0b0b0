// stallTolerantTimeout: what times out, what does not, and time during which the process was stalled.
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { stallTolerantTimeout } from './stall-tolerant-timeout.ts'

/** Blocks the event loop. */
function stall(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

it('fires once when the time is up', async () => {
  let calls = 0
  const start = performance.now()
  await new Promise<void>((resolve) => {
    stallTolerantTimeout(60, () => {
      calls += 1
      resolve()
    })
  })
  expect(performance.now() - start).toBeGreaterThan(40)
  await sleep(80)
  expect(calls).toBe(1)
})

it('does not fire when it is cancelled in time', async () => {
  let calls = 0
  const cancel = stallTolerantTimeout(40, () => {
    calls += 1
  })
  cancel()
  await sleep(80)
  expect(calls).toBe(0)
})

it('does not count time during which the process was stalled', async () => {
  let calls = 0
  const cancel = stallTolerantTimeout(100, () => {
    calls += 1
  })
  stall(400)
  // The event loop reads pending input before the next tick.
  await new Promise((resolve) => setImmediate(resolve))
  expect(calls).toBe(0)
  cancel()
})
