// Account: a user's limits and usage. The limits come from the user's access token or from the server's settings,
// never from a client's frames or requests.
import { z } from 'zod'

/** The user of every client if the server requires no access token. */
export const ANONYMOUS_USER = 'anonymous'

/** The longest window: 31 days. */
export const WINDOW_MAX_MS = 31 * 24 * 60 * 60 * 1000

/** Tokens per window of time. Windows are aligned to 1 January 1970, UTC. */
export const Budget = z.object({
  tokens: z.int().min(0),
  windowMs: z.int().min(1_000).max(WINDOW_MAX_MS),
})
export type Budget = z.infer<typeof Budget>

/** Limits from a user's access token. */
export interface UserLimits {
  /** Concurrent runs, queued ones included. */
  readonly runs?: number
  readonly budget?: Budget
}

export const BudgetLeft = Budget.extend({
  /** Tokens used in this window, on all nodes that have reported, including those of runs in progress. */
  spent: z.int(),
  left: z.int(),
  /** Unix milliseconds at which the next window starts. */
  resetsAt: z.number(),
})
export type BudgetLeft = z.infer<typeof BudgetLeft>

/** What the server offers for a message. */
export const Offers = z.object({
  /** The default model first. `openai:*` stands for every model of a provider. */
  models: z.array(z.string()),
  agents: z.array(z.object({ name: z.string(), model: z.string().optional() })),
  /** The tools that run on the server. */
  tools: z.array(z.object({ name: z.string(), description: z.string().optional(), approval: z.boolean() })),
})
export type Offers = z.infer<typeof Offers>

/** `GET /v1/me` */
export const MeAnswer = z.object({
  user: z.string(),
  name: z.string().optional(),
  /** Concurrent runs and their limit. Omitted: unlimited. */
  runs: z.object({ active: z.int(), most: z.int() }).optional(),
  /** Omitted: unlimited. */
  budget: BudgetLeft.optional(),
  /** The budget of the session in the query. Omitted: unlimited, or no session was given. */
  sessionBudget: BudgetLeft.optional(),
  /** Earlier servers omit it. */
  offers: Offers.optional(),
})
export type MeAnswer = z.infer<typeof MeAnswer>
