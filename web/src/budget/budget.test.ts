// What is told of a budget, and when the server is asked for it.
import { type MeAnswer, ParleyError } from '@parley/client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { refusalNote } from '../connection/refusal-note.ts'
import { Allowance, type AllowancePorts } from './allowance.ts'
import { type Budgets, budgetFacts, budgetNote, freeAt, timeOf } from './budget-note.ts'

const NOW = new Date(2026, 10, 23, 14, 0, 0).getTime()
const HOUR = 3_600_000

function budget(left: number, tokens = 50_000, resetsAt = NOW + HOUR): NonNullable<Budgets['budget']> {
  return { tokens, left, spent: tokens - left, windowMs: HOUR, resetsAt }
}

describe('the note', () => {
  it('is none where nothing is bounded, and a number while there is enough', () => {
    expect(budgetNote({}, NOW)).toBeUndefined()
    expect(budgetNote({ budget: budget(41_230) }, NOW)).toEqual({ level: 'ample', text: '41.2K of 50K tokens left' })
  })

  it('warns near the end, and says it to ears once and not with each number', () => {
    const [some, fewer] = [7_000, 900].map((left) => budgetNote({ budget: budget(left) }, NOW))
    expect(some).toMatchObject({ level: 'low', text: 'Only 7,000 of 50K tokens left' })
    expect(some?.said).toBe('Your budget of tokens is nearly used up.')
    expect(fewer?.said).toBe(some?.said)
    expect(fewer?.text).not.toBe(some?.text)
  })

  it('says when what is used up is free again', () => {
    const note = budgetNote({ budget: budget(0) }, NOW)
    expect(note?.level).toBe('spent')
    expect(note?.said).toMatch(/^Your budget of 50K tokens is used up\. It is free again at 0?3:00/)
    expect(note?.text).toMatch(/^Tokens used up, free again at 0?3:00/)
    expect(timeOf(NOW + 40_000, NOW)).toMatch(/:00:40/)
    expect(timeOf(NOW + 24 * HOUR, NOW)).toMatch(/^on .*24.*, /)
  })

  it('is of what ends first: the own budget, or the session’s', () => {
    const said = (budgets: Budgets): string => budgetNote(budgets, NOW)?.said ?? ''
    const own = budgetNote({ budget: budget(40_000), sessionBudget: budget(300, 1_000) }, NOW)
    expect(own?.text).toBe('300 of 1,000 tokens left')
    expect(said({ budget: budget(0), sessionBudget: budget(300, 1_000) })).toContain('Your budget')
    const both = { budget: budget(0), sessionBudget: budget(0, 1_000, NOW + 2 * HOUR) }
    expect(said(both)).toContain('This session’s budget')
    expect(budgetFacts({ ...both, runs: { active: 1, most: 3 } }, NOW).map(([name]) => name)).toEqual([
      'Yours',
      'This session’s',
      'Answers at once',
    ])
  })

  it('of an answer that was cut off tells when the budget begins anew, in the window in which it was asked for', () => {
    const budgets = { budget: budget(7) }
    expect(freeAt(budgets, NOW, NOW + 1_000)).toBe(NOW + HOUR)
    expect(freeAt(budgets, NOW - HOUR, NOW)).toBeUndefined()
    expect(freeAt(budgets, NOW, NOW + HOUR)).toBeUndefined()
    expect(freeAt({}, NOW, NOW)).toBeUndefined()
  })

  it('of a message that was refused tells a time, which holds whenever it is read', () => {
    const said = refusalNote(new ParleyError('budget_exceeded', 'x', false, HOUR))
    expect(said).toMatch(/^The budget of tokens is used up\. It is free again (at|on) /)
  })
})

describe('an allowance', () => {
  type View = AllowancePorts['session']['state']
  let view: View
  let told: () => void
  let answers: MeAnswer
  let asked: number

  beforeEach(() => {
    vi.useFakeTimers({ now: NOW })
    asked = 0
    answers = { user: 'ada', budget: budget(1_000, 1_000) }
    view = { status: 'attaching', activeRun: undefined } as View
  })
  afterEach(() => vi.useRealTimers())

  function begin(): Allowance {
    const session: AllowancePorts['session'] = {
      id: 's',
      get state() {
        return view
      },
      subscribe: (listener) => {
        told = listener
        return () => undefined
      },
    }
    return new Allowance({
      session,
      me: async () => {
        asked += 1
        return answers
      },
    })
  }
  const become = (status: View['status'], activeRun?: string): void => {
    view = { ...view, status, activeRun }
    told()
  }
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

  it('is asked when the session is live, now and then during an answer, and after its end', async () => {
    const allowance = begin()
    await pass(1_000)
    expect(asked).toBe(0)
    become('live')
    await pass(60_000)
    expect([asked, allowance.state.budget?.left]).toEqual([1, 1_000])
    become('live', 'r')
    answers = { ...answers, budget: budget(400, 1_000) }
    for (let count = 0; count < 100; count += 1) {
      become('live', 'r')
      await pass(100)
    }
    expect([asked, allowance.state.budget?.left]).toEqual([3, 400])
    become('live')
    await pass(60_000)
    expect(asked).toBe(5)
    allowance.close()
  })

  it('is asked again when a budget begins anew, and after each connection', async () => {
    begin()
    become('live')
    await pass(HOUR - 1_000)
    expect(asked).toBe(1)
    answers = { ...answers, budget: budget(1_000, 1_000, NOW + 2 * HOUR) }
    await pass(4_000)
    expect(asked).toBe(2)
    become('offline')
    become('live')
    await pass(1_000)
    expect(asked).toBe(3)
  })

  it('is asked once for each connection where nothing is bounded', async () => {
    answers = { user: 'ada' }
    begin()
    become('live')
    await pass(1_000)
    become('live', 'r')
    await pass(60_000)
    become('live')
    await pass(HOUR)
    expect(asked).toBe(1)
  })
})
