// Plan: what every user does and when, decided before anything is sent. Open loop: nothing here depends on how fast
// the server is, so that a slow one meets the same load as a quick one.
import { type Distribution, draw } from './distribution.ts'
import { randomOf } from './random.ts'

export interface Habits {
  readonly seed: number
  readonly users: number
  /** Milliseconds over which the users arrive, each at a time of its own; and how long the whole takes. */
  readonly arrivalMs: number
  readonly durationMs: number
  /** Milliseconds from the end of an answer, as it was meant, to the next question. */
  readonly think: Distribution
  /** Tokens. */
  readonly answer: Distribution
  /** Tokens a second. */
  readonly pace: Distribution
  /** Milliseconds until the model says the first token. */
  readonly ttft: Distribution
  /** Milliseconds beyond what the model takes that a user waits for the first token, and then for the whole. */
  readonly patience: Distribution | undefined
}

export interface Ask {
  /** Milliseconds from the beginning. */
  readonly at: number
  readonly tokens: number
  readonly rate: number
  readonly ttft: number
  readonly patience: number | undefined
}

export interface UserPlan {
  readonly user: number
  readonly arrivesAt: number
  readonly asks: readonly Ask[]
}

const MAX_TOKENS = 20_000

/** Each user's plan comes from the seed and the user's number alone: it is the same in whichever process plays it. */
export function planUser(habits: Habits, user: number): UserPlan {
  const random = randomOf(habits.seed, 'user', user)
  const arrivesAt = random() * habits.arrivalMs
  const asks: Ask[] = []
  // The first question comes after a random part of a think time: users do not speak the moment they arrive.
  let at = arrivesAt + draw(habits.think, random) * random()
  while (at < habits.durationMs) {
    const tokens = Math.min(MAX_TOKENS, Math.max(1, Math.round(draw(habits.answer, random))))
    const rate = Math.round(Math.max(0.1, draw(habits.pace, random)) * 10) / 10
    const ttft = Math.round(draw(habits.ttft, random))
    const patience = habits.patience === undefined ? undefined : draw(habits.patience, random)
    asks.push({ at, tokens, rate, ttft, patience })
    at += meantMs({ tokens, rate, ttft }) + Math.max(1, draw(habits.think, random))
  }
  return { user, arrivesAt, asks }
}

/** How long the model itself takes for the whole answer. */
export function meantMs({ tokens, rate, ttft }: Pick<Ask, 'tokens' | 'rate' | 'ttft'>): number {
  return ttft + ((tokens - 1) / rate) * 1000
}

/** The message by which the demo model gives that answer. */
export function question(ask: Ask, model: 'demo' | 'other'): string {
  if (model === 'other') return `Count from 0 to ${Math.min(ask.tokens, 400) - 1}, in digits, and say nothing else.`
  return `/demo count=${ask.tokens} rate=${ask.rate} ttft=${ask.ttft}`
}
