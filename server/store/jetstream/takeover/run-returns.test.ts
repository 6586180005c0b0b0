// Returning the runs of a lost node while JetStream has no leader, and while other nodes take them.
import { describe, expect, it } from 'vitest'
import type { Row } from './roster.ts'
import { type RunReturnsOptions, returnRuns } from './run-returns.ts'

const rowsOf = (count: number) =>
  new Map(Array.from({ length: count }, (_, i): [number, Row] => [i + 1, { reply: `ack.${i + 1}`, attempt: 1 }]))

/** Counts the tries of each run. */
function queue(options: Partial<RunReturnsOptions> & { readonly answers?: (tries: number) => boolean } = {}) {
  const tries = new Map<string, number>()
  return {
    tries,
    pauseMs: 0,
    isElsewhere: () => false,
    isLost: () => Promise.resolve(true),
    nak: (reply: string) => {
      const count = (tries.get(reply) ?? 0) + 1
      tries.set(reply, count)
      return options.answers?.(count) === false ? Promise.reject(new Error('no leader')) : Promise.resolve()
    },
    ...options,
  }
}

describe('the runs of a lost node', () => {
  it('are returned once each', async () => {
    const all = queue()
    expect(await returnRuns(rowsOf(1_234), all)).toBe(0)
    expect([...all.tries.values()]).toEqual(Array.from({ length: 1_234 }, () => 1))
  })

  it('are returned when JetStream has a leader again, and only one slice is tried before', async () => {
    const late = queue({ answers: (tries) => tries > 3 })
    expect(await returnRuns(rowsOf(1_200), late)).toBe(0)
    expect(late.tries.size).toBe(1_200)
    expect(Math.max(...late.tries.values())).toBe(4)
    const never = queue({ answers: () => false, timeoutMs: 0 })
    expect(await returnRuns(rowsOf(1_200), never)).toBe(1_200)
    expect(never.tries.size).toBe(500)
  })

  it('stay where they are as soon as the node lives, or another node has them', async () => {
    const back = queue({ answers: () => false, isLost: () => Promise.resolve(false) })
    expect(await returnRuns(rowsOf(2), back)).toBe(0)
    expect([...back.tries.values()]).toEqual([1, 1])
    let isTaken = false
    const taken = queue({
      answers: () => false,
      isElsewhere: (message) => message === 2 || isTaken,
      isLost: async () => {
        isTaken = true
        return true
      },
    })
    expect(await returnRuns(rowsOf(3), taken)).toBe(0)
    expect([...taken.tries]).toEqual([
      ['ack.1', 1],
      ['ack.3', 1],
    ])
  })
})
