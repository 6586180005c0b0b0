// hurried: a clock that goes faster for a client than for its peer, so that a test need not wait as long as people would.
import type { Clock } from '../index.ts'

export function hurried(factor: number): Clock {
  const begin = Date.now()
  return {
    now: () => begin + (Date.now() - begin) * factor,
    random: () => 0.5,
    after(ms, callback) {
      const timer = setTimeout(callback, ms / factor)
      return () => clearTimeout(timer)
    },
  }
}
