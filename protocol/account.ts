// Account: what a user may use, and what is left of it. What a user is allowed comes from its token or from the server's
// settings, never from what a client sends.
import { z } from 'zod'

/** The longest window: 31 days. */
export const WINDOW_MAX_MS = 31 * 24 * 60 * 60 * 1000

/** Tokens over a window of time. Windows stand at fixed places: the first began with 1970, in UTC. */
export const Budget = z.object({
  tokens: z.int().min(0),
  windowMs: z.int().min(1_000).max(WINDOW_MAX_MS),
})
export type Budget = z.infer<typeof Budget>

/** What is a user's own, by its token. */
export interface UserLimits {
  /** Runs that are not over, at once. */
  readonly runs?: number
  readonly budget?: Budget
}

export const BudgetLeft = Budget.extend({
  /** Tokens in this window, of all nodes as far as this one has heard; those of runs under way among them. */
  spent: z.int(),
  left: z.int(),
  /** Unix milliseconds at which the next window begins. */
  resetsAt: z.number(),
})
export type BudgetLeft = z.infer<typeof BudgetLeft>

/** `GET /v1/me` */
export const MeAnswer = z.object({
  user: z.string(),
  name: z.string().optional(),
  /** Runs that are not over, and how many may be. Left out: nothing bounds them. */
  runs: z.object({ active: z.int(), most: z.int() }).optional(),
  /** Left out: nothing bounds it. */
  budget: BudgetLeft.optional(),
  /** Of the session that was asked for. */
  sessionBudget: BudgetLeft.optional(),
})
export type MeAnswer = z.infer<typeof MeAnswer>
