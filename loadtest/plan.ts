// Plan: what each user does and when, computed before the test begins. Open loop: it does not depend on the server, so
// a slow server gets the same load as a fast one.
import { type Distribution, draw, randomOf } from './random.ts'

export interface Habits {
  readonly seed: number
  readonly users: number
  /** The period over which the users arrive, and the duration of the whole phase, in ms. */
  readonly arrivalMs: number
  readonly durationMs: number
  /** Milliseconds from the planned end of an answer to the next question. */
  readonly think: Distribution
  /** Tokens. */
  readonly answer: Distribution
  /** Tokens per second. */
  readonly pace: Distribution
  /** Milliseconds until the model's first token. */
  readonly ttft: Distribution
  /** Milliseconds, added to the model's own time, that a user waits for the first token and for the complete answer. */
  readonly patience: Distribution | undefined
}

export interface Ask {
  /** Milliseconds since the start. */
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

/** The plan depends only on the seed and the user's number, so it is the same in every process. */
export function planUser(habits: Habits, user: number): UserPlan {
  const random = randomOf(habits.seed, 'user', user)
  const arrivesAt = random() * habits.arrivalMs
  const asks: Ask[] = []
  // The first question follows after a random part of a think time, so that users do not all ask on arrival.
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

/** The model's own time for the complete answer, in ms. */
export function meantMs({ tokens, rate, ttft }: Pick<Ask, 'tokens' | 'rate' | 'ttft'>): number {
  return ttft + ((tokens - 1) / rate) * 1000
}

/** The message that makes the demo model give this answer. */
export function question(ask: Ask, model: 'demo' | 'other'): string {
  if (model === 'other') return `Count from 0 to ${Math.min(ask.tokens, 400) - 1}, in digits, and say nothing else.`
  return `/demo count=${ask.tokens} rate=${ask.rate} ttft=${ask.ttft}`
}

/** Grows on demand: all answers are prefixes of it. `ends` holds the length of each. */
let numbers = '0'
const ends: number[] = [0, 1]

/** The demo model's answer to `/demo count=N`: `0 1 2 …`. @param count tokens */
export function knownText(count: number): string {
  while (ends.length <= count) {
    numbers += ` ${ends.length - 1}`
    ends.push(numbers.length)
  }
  return numbers.slice(0, ends[count])
}
