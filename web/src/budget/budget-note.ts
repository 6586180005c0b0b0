// BudgetNote: what the page says of a budget of tokens: how much is left, that it is nearly used up, that it is, and when it is
// free again. Of the user's own budget and the session's, the one that ends first counts. Pure.
import type { BudgetLeft, MeAnswer } from '@parley/client'

export type Budgets = Pick<MeAnswer, 'budget' | 'sessionBudget'>

export interface BudgetNote {
  readonly level: 'ample' | 'low' | 'spent'
  /** For eyes: it changes with each token that was spent. */
  readonly text: string
  /** For ears: another one only when the level is another one. */
  readonly said?: string
}

/** A budget is nearly used up when less than this share of it is left. */
const LOW = 0.15

/** @returns undefined where nothing is bounded @param now Unix milliseconds */
export function budgetNote(budgets: Budgets, now: number): BudgetNote | undefined {
  const first = soonest(budgets)
  if (first === undefined) return undefined
  const { tokens, left, resetsAt } = first
  const whose = first === budgets.budget ? 'Your budget' : 'This session’s budget'
  if (left <= 0) {
    const said = `${whose} of ${short(tokens)} tokens is used up. ${freeAgain(resetsAt, now)}`
    return { level: 'spent', text: `Tokens used up, free again ${timeOf(resetsAt, now)}`, said }
  }
  const rest = `${short(left)} of ${short(tokens)} tokens left`
  if (left >= tokens * LOW) return { level: 'ample', text: rest }
  return { level: 'low', text: `Only ${rest}`, said: `${whose} of tokens is nearly used up.` }
}

/**
 * When tokens may be used again by whom a budget cut off. A question may cost more than is left.
 * @param time when the question was asked, in Unix milliseconds @returns undefined where that is over, or not known
 */
export function freeAt(budgets: Budgets, time: number, now: number): number | undefined {
  const first = soonest(budgets)
  if (first === undefined || first.resetsAt <= now || time < first.resetsAt - first.windowMs) return undefined
  return first.resetsAt
}

/** @param at, now Unix milliseconds */
export function freeAgain(at: number, now: number): string {
  return at <= now ? 'It is free again.' : `It is free again ${timeOf(at, now)}.`
}

/** A point of time as people say it: `at 14:00`, `on 24 Nov, 00:00`; to the second when it is near. */
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

/** All of it, line by line: for who asks. */
export function budgetFacts(
  { budget, sessionBudget, runs }: Budgets & Pick<MeAnswer, 'runs'>,
  now: number,
): readonly (readonly [name: string, value: string])[] {
  const facts: [string, string][] = []
  const tell = (name: string, { tokens, left, resetsAt }: BudgetLeft): void => {
    const rest = `${left.toLocaleString('en')} of ${tokens.toLocaleString('en')} tokens left`
    facts.push([name, `${rest}; begins anew ${timeOf(resetsAt, now)}`])
  }
  if (budget !== undefined) tell('Yours', budget)
  if (sessionBudget !== undefined) tell('This session’s', sessionBudget)
  if (runs !== undefined) facts.push(['Answers at once', `${runs.active} of ${runs.most}`])
  return facts
}

/** What is used up for the longest, else what has the smallest share left. */
function soonest({ budget, sessionBudget }: Budgets): BudgetLeft | undefined {
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
