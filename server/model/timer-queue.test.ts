// TimerQueue wakes each stream of the demo model when its next token is due.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Sleeper, TimerQueue } from './timer-queue.ts'

interface Log {
  readonly index: number
  readonly at: number
}

function sleeper(index: number, log: Log[], onWake?: () => void): Sleeper {
  return {
    due: 0,
    index: -1,
    wake() {
      log.push({ index, at: performance.now() })
      onWake?.()
    },
  }
}

describe('a timer queue', () => {
  it('wakes in order, never early, and only waiting sleepers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ ms: fc.nat(12), leave: fc.boolean() }), { maxLength: 40 }),
        async (waits) => {
          const timers = new TimerQueue()
          const log: Log[] = []
          const start = performance.now()
          const sleepers = waits.map(({ ms }, index) => {
            const made = sleeper(index, log)
            timers.at(start + ms, made)
            return made
          })
          for (const [index, { leave }] of waits.entries()) if (leave) timers.remove(sleepers[index] as Sleeper)
          await new Promise<void>((resolve) => timers.at(start + 13, { ...sleeper(-1, []), wake: resolve }))
          const stayed = waits.flatMap(({ leave }, index) => (leave ? [] : [index]))
          expect(log.map(({ index }) => index).sort((a, b) => a - b)).toEqual(stayed)
          const dues = log.map(({ index }) => (sleepers[index] as Sleeper).due)
          // Within one tick the earliest is woken first, none before its time.
          expect(log.every(({ at }, index) => at >= (dues[index] as number))).toBe(true)
          expect(dues).toEqual([...dues].sort((a, b) => a - b))
        },
      ),
      { numRuns: 30 },
    )
  })

  it('wakes a sleeper that waits again while it is woken', async () => {
    const timers = new TimerQueue()
    const log: Log[] = []
    await new Promise<void>((resolve) => {
      const again = sleeper(0, log, () => {
        if (log.length < 5) timers.at(performance.now() + 1, again)
        else resolve()
      })
      timers.at(performance.now(), again)
    })
    expect(log).toHaveLength(5)
  })

  it('wakes soon in the next turn, and not a removed sleeper', async () => {
    const timers = new TimerQueue()
    const log: Log[] = []
    const [stays, leaves, moves] = [sleeper(0, log), sleeper(1, log), sleeper(2, log)]
    timers.soon(stays)
    timers.soon(leaves)
    timers.soon(moves)
    timers.remove(leaves)
    timers.at(performance.now() + 3_600_000, moves)
    expect(log).toEqual([])
    await new Promise((resolve) => setImmediate(resolve))
    expect(log.map(({ index }) => index)).toEqual([0])
    timers.remove(moves)
  })
})
