// What the page says about a budget, and when it asks the server for it.
import { type MeAnswer, ParleyError } from '@parley/client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errorNote } from '../connection/error-note.ts'
import { Allowance, type AllowancePorts } from './allowance.ts'
import { type Budgets, budgetFacts, budgetNote, resetTime, timeOf } from './budget-note.ts'

const NOW = new Date(2026, 10, 23, 14, 0, 0).getTime()
const HOUR = 3_600_000

function budget(left: number, tokens = 50_000, resetsAt = NOW + HOUR): NonNullable<Budgets['budget']> {
  return { tokens, left, spent: tokens - left, windowMs: HOUR, resetsAt }
}

describe('the budget note', () => {
  it('is missing without a budget, and a number while enough remains', () => {
    expect(budgetNote({}, NOW)).toBeUndefined()
    expect(budgetNote({ budget: budget(41_230) }, NOW)).toEqual({ level: 'ample', text: '41.2K of 50K tokens left' })
  })

  it('warns when the budget is low, with one announcement for all numbers', () => {
    const [some, fewer] = [7_000, 900].map((left) => budgetNote({ budget: budget(left) }, NOW))
    expect(some).toMatchObject({ level: 'low', text: 'Only 7,000 of 50K tokens left' })
    expect(some?.announcement).toBe('Your token budget is nearly used up.')
    expect(fewer?.announcement).toBe(some?.announcement)
    expect(fewer?.text).not.toBe(some?.text)
  })

  it('says when a used-up budget resets', () => {
    const note = budgetNote({ budget: budget(0) }, NOW)
    expect(note?.level).toBe('spent')
    expect(note?.announcement).toMatch(/^Your token budget \(50K\) is used up\. Resets at 0?3:00/)
    expect(note?.text).toMatch(/^Token budget used up, resets at 0?3:00/)
    expect(timeOf(NOW + 40_000, NOW)).toMatch(/:00:40/)
    expect(timeOf(NOW + 24 * HOUR, NOW)).toMatch(/^on .*24.*, /)
  })

  it('describes the scarcer one of the user’s and the session’s budgets', () => {
    const announcement = (budgets: Budgets): string => budgetNote(budgets, NOW)?.announcement ?? ''
    const own = budgetNote({ budget: budget(40_000), sessionBudget: budget(300, 1_000) }, NOW)
    expect(own?.text).toBe('300 of 1,000 tokens left')
    expect(announcement({ budget: budget(0), sessionBudget: budget(300, 1_000) })).toContain('Your token budget')
    const both = { budget: budget(0), sessionBudget: budget(0, 1_000, NOW + 2 * HOUR) }
    expect(announcement(both)).toContain('This chat’s token budget')
    expect(budgetFacts({ ...both, runs: { active: 1, most: 3 } }, NOW).map(([name]) => name)).toEqual([
      'Your budget',
      'This chat’s budget',
      'Concurrent answers',
    ])
  })

  it('of a stopped answer names the reset time until the window of its message has ended', () => {
    const budgets = { budget: budget(7) }
    expect(resetTime(budgets, NOW, NOW + 1_000)).toBe(NOW + HOUR)
    expect(resetTime(budgets, NOW - HOUR, NOW)).toBeUndefined()
    expect(resetTime(budgets, NOW, NOW + HOUR)).toBeUndefined()
    expect(resetTime({}, NOW, NOW)).toBeUndefined()
  })

  it('of a refused message names a time and not a duration', () => {
    const note = errorNote(new ParleyError('budget_exceeded', 'x', false, HOUR))
    expect(note).toMatch(/^Not enough tokens left in the budget\. Resets (at|on) /)
  })
})

describe('an allowance', () => {
  type View = AllowancePorts['session']['state']
  let view: View
  let notify: () => void
  let answer: MeAnswer
  let requests: number

  beforeEach(() => {
    vi.useFakeTimers({ now: NOW })
    requests = 0
    answer = { user: 'ada', budget: budget(1_000, 1_000) }
    view = { status: 'attaching', activeRun: undefined } as View
  })
  afterEach(() => vi.useRealTimers())

  function start(): Allowance {
    const session: AllowancePorts['session'] = {
      id: 's',
      get state() {
        return view
      },
      subscribe: (listener) => {
        notify = listener
        return () => undefined
      },
    }
    return new Allowance({
      session,
      me: async () => {
        requests += 1
        return answer
      },
      now: () => Date.now(),
    })
  }
  const become = (status: View['status'], activeRun?: string): void => {
    view = { ...view, status, activeRun }
    notify()
  }
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

  it('is requested when the session becomes live, periodically during an answer, and after its end', async () => {
    const allowance = start()
    await pass(1_000)
    expect(requests).toBe(0)
    become('live')
    await pass(60_000)
    expect([requests, allowance.state.budget?.left]).toEqual([1, 1_000])
    become('live', 'r')
    answer = { ...answer, budget: budget(400, 1_000) }
    for (let count = 0; count < 100; count += 1) {
      become('live', 'r')
      await pass(100)
    }
    expect([requests, allowance.state.budget?.left]).toEqual([3, 400])
    become('live')
    await pass(60_000)
    expect(requests).toBe(5)
    allowance.close()
  })

  it('is requested again when a budget resets, and after each reconnect', async () => {
    start()
    become('live')
    await pass(HOUR - 1_000)
    expect(requests).toBe(1)
    answer = { ...answer, budget: budget(1_000, 1_000, NOW + 2 * HOUR) }
    await pass(4_000)
    expect(requests).toBe(2)
    become('offline')
    become('live')
    await pass(1_000)
    expect(requests).toBe(3)
  })

  it('is requested once per connection without a budget', async () => {
    answer = { user: 'ada' }
    start()
    become('live')
    await pass(1_000)
    become('live', 'r')
    await pass(60_000)
    become('live')
    await pass(HOUR)
    expect(requests).toBe(1)
  })
})
