// A throttled state notifies its listeners once per frame, however often the source changes.
import { describe, expect, it } from 'vitest'
import { FrameThrottle } from './frame-throttle.ts'

class Counter {
  state = 0
  readonly listeners = new Set<() => void>()

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => {
      this.listeners.delete(listener)
    }
  }

  count(): void {
    this.state += 1
    for (const listener of this.listeners) listener()
  }
}

function setUp(): { source: Counter; view: FrameThrottle<number>; paint: () => number } {
  const source = new Counter()
  const frames: (() => void)[] = []
  const view = new FrameThrottle(source, (callback) => frames.push(callback))
  const paint = (): number => frames.splice(0).map((frame) => frame()).length
  return { source, view, paint }
}

describe('a throttled state', () => {
  it('reports many changes once, with the last state', () => {
    const { source, view, paint } = setUp()
    const seen: number[] = []
    view.subscribe(() => seen.push(view.state))
    for (let i = 0; i < 100; i += 1) source.count()
    expect(view.state).toBe(0)
    expect(paint()).toBe(1)
    expect(seen).toEqual([100])
    source.count()
    paint()
    expect(seen).toEqual([100, 101])
  })

  it('does not notify after unsubscribe or close', () => {
    const { source, view, paint } = setUp()
    const seen: number[] = []
    const unsubscribe = view.subscribe(() => seen.push(view.state))
    source.count()
    unsubscribe()
    paint()
    view.subscribe(() => seen.push(view.state))
    source.count()
    view.close()
    paint()
    expect(seen).toEqual([])
    expect(source.listeners.size).toBe(0)
  })
})
