// Budget windows: the current window, its end, and the text form of budgets. Pure. Windows follow each other without a
// gap, at the same times on every node with a correct clock.
import { Budget } from '@parley/protocol'

export interface Window {
  readonly index: number
  /** Unix milliseconds at which the next window begins. */
  readonly endsAt: number
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** @param now Unix milliseconds */
export function windowOf(windowMs: number, now: number): Window {
  const index = Math.floor(now / windowMs)
  return { index, endsAt: (index + 1) * windowMs }
}

/** @param text such as `1000000/1d` or `50000/12h` @returns undefined if the text is invalid */
export function parseBudget(text: string): Budget | undefined {
  const [, tokens, count, unit] = /^(\d{1,15})\/(\d{1,7})([smhd])$/.exec(text) ?? []
  if (unit === undefined) return undefined
  const windowMs = Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS]
  return Budget.safeParse({ tokens: Number(tokens), windowMs }).data
}
