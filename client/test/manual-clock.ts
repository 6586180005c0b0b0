// ManualClock: a clock that a test advances, so that a slow machine changes nothing. Short waits use real time.
import type { Clock } from '../index.ts'

/** Shorter waits are real, in milliseconds. */
const SHORT_MS = 100

interface Timer {
  readonly at: number
  readonly ms: number
  readonly callback: () => void
}

export class ManualClock implements Clock {
  #now = Date.now()
  #timers: Timer[] = []
  #waiting: { readonly fits: (ms: number) => boolean; readonly resolve: () => void }[] = []

  now(): number {
    return this.#now
  }

  random(): number {
    return 0.5
  }

  after(ms: number, callback: () => void): () => void {
    if (ms < SHORT_MS) {
      const real = setTimeout(callback, ms)
      return () => clearTimeout(real)
    }
    const timer = { at: this.#now + ms, ms, callback }
    this.#timers.push(timer)
    const ready = this.#waiting.filter(({ fits }) => fits(ms))
    this.#waiting = this.#waiting.filter((waiter) => !ready.includes(waiter))
    for (const { resolve } of ready) resolve()
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Resolves when there is a timer of that length, now or later. */
  armed(from: number, to = from): Promise<void> {
    const fits = (ms: number): boolean => ms >= from && ms <= to
    if (this.#timers.some(({ ms }) => fits(ms))) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ fits, resolve }))
  }

  /** Advances the time; due timers fire in order. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#now = next.at
      this.#timers = this.#timers.filter((other) => other !== next)
      next.callback()
    }
    this.#now = end
  }
}
