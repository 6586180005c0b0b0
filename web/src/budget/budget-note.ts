// BudgetNote: what the page says about the token budget: how much remains, that it is low or used up, and when it
// resets. It describes the scarcer one of the user's and the session's budgets. Pure.
import type { BudgetLeft, MeAnswer } from '@parley/client'

export type Budgets = Pick<MeAnswer, 'budget' | 'sessionBudget'>

export interface BudgetNote {
  readonly level: 'ample' | 'low' | 'spent'
  /** The visible text. It changes with each spent token. */
  readonly text: string
  /** For screen readers. It changes only with the level. */
  readonly announcement?: string
}

/** A budget is low if less than this share of it remains. */
const LOW = 0.15

/** @param now Unix milliseconds @returns undefined without a budget */
export function budgetNote(budgets: Budgets, now: number): BudgetNote | undefined {
  const scarcer = scarcerOf(budgets)
  if (scarcer === undefined) return undefined
  const { tokens, left, resetsAt } = scarcer
  const name = scarcer === budgets.budget ? 'Your token budget' : 'This chat’s token budget'
  if (left <= 0) {
    const announcement = `${name} (${short(tokens)}) is used up. ${resetNote(resetsAt, now)}`
    return { level: 'spent', text: `Token budget used up, resets ${timeOf(resetsAt, now)}`, announcement }
  }
  const remaining = `${short(left)} of ${short(tokens)} tokens left`
  if (left >= tokens * LOW) return { level: 'ample', text: remaining }
  return { level: 'low', text: `Only ${remaining}`, announcement: `${name} is nearly used up.` }
}

/**
 * When the budget that stopped an answer resets. It need not be used up, because a message may cost more than remains.
 * @param time when the message was sent, in Unix milliseconds @returns undefined if that window has ended
 */
export function resetTime(budgets: Budgets, time: number, now: number): number | undefined {
  const scarcer = scarcerOf(budgets)
  if (scarcer === undefined || scarcer.resetsAt <= now || time < scarcer.resetsAt - scarcer.windowMs) return undefined
  return scarcer.resetsAt
}

/** @param at, now Unix milliseconds */
export function resetNote(at: number, now: number): string {
  return at <= now ? 'Resets now.' : `Resets ${timeOf(at, now)}.`
}

/** A time as people write it: `at 14:00`, `on 24 Nov, 00:00`; with seconds if it is near. */
export function timeOf(at: number, now: number): string {
  const date = new Date(at)
  const isNear = at - now < 120_000
  const clock = date.toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit',
    ...(isNear ? { second: '2-digit' } : {}),
  })
  if (date.toDateString() === new Date(now).toDateString()) return `at ${clock}`
  return `on ${date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })}, ${clock}`
}

/** The rows of the budget dialog. */
export function budgetFacts(
  { budget, sessionBudget, runs }: Budgets & Pick<MeAnswer, 'runs'>,
  now: number,
): readonly (readonly [name: string, value: string])[] {
  const facts: [string, string][] = []
  const add = (name: string, { tokens, left, resetsAt }: BudgetLeft): void => {
    const remaining = `${left.toLocaleString('en')} of ${tokens.toLocaleString('en')} tokens left`
    facts.push([name, `${remaining}; resets ${timeOf(resetsAt, now)}`])
  }
  if (budget !== undefined) add('Your budget', budget)
  if (sessionBudget !== undefined) add('This chat’s budget', sessionBudget)
  if (runs !== undefined) facts.push(['Concurrent answers', `${runs.active} of ${runs.most}`])
  return facts
}

/** Of two used-up budgets the one that resets later, else the one with the smaller share left. */
function scarcerOf({ budget, sessionBudget }: Budgets): BudgetLeft | undefined {
  if (budget === undefined || sessionBudget === undefined) return budget ?? sessionBudget
  if (budget.left <= 0 && sessionBudget.left <= 0) {
    return sessionBudget.resetsAt > budget.resetsAt ? sessionBudget : budget
  }
  return Math.max(0, sessionBudget.left) / sessionBudget.tokens < Math.max(0, budget.left) / budget.tokens
    ? sessionBudget
    : budget
}

function short(tokens: number): string {
  return tokens.toLocaleString('en', tokens < 10_000 ? {} : { notation: 'compact', maximumFractionDigits: 1 })
}
