// HandClock: time that passes when a test says so, so that a slow machine changes nothing. Short waits pass by themselves.
import type { Clock } from '../index.ts'

/** Milliseconds: waits below are real. */
const SHORT_MS = 100

interface Timer {
  readonly at: number
  readonly ms: number
  readonly callback: () => void
}

export class HandClock implements Clock {
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
    const told = this.#waiting.filter(({ fits }) => fits(ms))
    this.#waiting = this.#waiting.filter((waiter) => !told.includes(waiter))
    for (const { resolve } of told) resolve()
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Resolves when somebody waits for that long: now or later. */
  armed(from: number, to = from): Promise<void> {
    const fits = (ms: number): boolean => ms >= from && ms <= to
    if (this.#timers.some(({ ms }) => fits(ms))) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ fits, resolve }))
  }

  /** What is due meanwhile happens in its order. */
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
