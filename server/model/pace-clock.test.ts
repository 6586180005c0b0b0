// The pace of the demo model: tokens come when they are due, whatever the timers do.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PaceClock, type Sleeper } from './pace-clock.ts'

interface Log {
  readonly index: number
  readonly at: number
}

function sleeper(index: number, log: Log[], onWake?: () => void): Sleeper {
  return {
    due: 0,
    place: -1,
    wake() {
      log.push({ index, at: performance.now() })
      onWake?.()
    },
  }
}

describe('a pace clock', () => {
  it('wakes in order, never early, and only those who still wait', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ ms: fc.nat(12), leave: fc.boolean() }), { maxLength: 40 }),
        async (waits) => {
          const clock = new PaceClock()
          const log: Log[] = []
          const start = performance.now()
          const sleepers = waits.map(({ ms }, index) => {
            const made = sleeper(index, log)
            clock.at(start + ms, made)
            return made
          })
          for (const [index, { leave }] of waits.entries()) if (leave) clock.remove(sleepers[index] as Sleeper)
          await new Promise<void>((resolve) => clock.at(start + 13, { ...sleeper(-1, []), wake: resolve }))
          const stayed = waits.flatMap(({ leave }, index) => (leave ? [] : [index]))
          expect(log.map(({ index }) => index).sort((a, b) => a - b)).toEqual(stayed)
          const dues = log.map(({ index }) => (sleepers[index] as Sleeper).due)
          // Within one tick the earliest is woken first; no one before his time.
          expect(log.every(({ at }, index) => at >= (dues[index] as number))).toBe(true)
          expect(dues).toEqual([...dues].sort((a, b) => a - b))
        },
      ),
      { numRuns: 30 },
    )
  })

  it('wakes one who waits again from within his own waking', async () => {
    const clock = new PaceClock()
    const log: Log[] = []
    await new Promise<void>((resolve) => {
      const again = sleeper(0, log, () => {
        if (log.length < 5) clock.at(performance.now() + 1, again)
        else resolve()
      })
      clock.at(performance.now(), again)
    })
    expect(log).toHaveLength(5)
  })

  it('wakes soon in the next turn, and not one who left', async () => {
    const clock = new PaceClock()
    const log: Log[] = []
    const [stays, leaves, moves] = [sleeper(0, log), sleeper(1, log), sleeper(2, log)]
    clock.soon(stays)
    clock.soon(leaves)
    clock.soon(moves)
    clock.remove(leaves)
    clock.at(performance.now() + 3_600_000, moves)
    expect(log).toEqual([])
    await new Promise((resolve) => setImmediate(resolve))
    expect(log.map(({ index }) => index)).toEqual([0])
    clock.remove(moves)
  })
})
