// Budget windows: which window of time it is now, when it ends, and how budgets are written. Pure. Windows tile time without
// a gap, at the same places for every node whose clock is right.
import { Budget } from '@parley/protocol'

export interface Window {
  readonly index: number
  /** Unix milliseconds at which the next one begins. */
  readonly endsAt: number
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** @param now Unix milliseconds */
export function windowOf(windowMs: number, now: number): Window {
  const index = Math.floor(now / windowMs)
  return { index, endsAt: (index + 1) * windowMs }
}

/** Such as `1000000/1d` or `50000/12h`; undefined when it is none. */
export function parseBudget(text: string): Budget | undefined {
  const [, tokens, count, unit] = /^(\d{1,15})\/(\d{1,7})([smhd])$/.exec(text) ?? []
  if (unit === undefined) return undefined
  const windowMs = Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS]
  return Budget.safeParse({ tokens: Number(tokens), windowMs }).data
}
