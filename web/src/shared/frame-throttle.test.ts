// A state that is told of once for each paint, however often it changes.
import { describe, expect, it } from 'vitest'
import { Painted } from './frame-throttle.ts'

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

function painted(): { source: Counter; view: Painted<number>; paint: () => number } {
  const source = new Counter()
  const frames: (() => void)[] = []
  const view = new Painted(source, (callback) => frames.push(callback))
  const paint = (): number => frames.splice(0).map((frame) => frame()).length
  return { source, view, paint }
}

describe('a painted state', () => {
  it('tells of many changes once, with the last state', () => {
    const { source, view, paint } = painted()
    const told: number[] = []
    view.subscribe(() => told.push(view.shown))
    for (let i = 0; i < 100; i += 1) source.count()
    expect(view.shown).toBe(0)
    expect(paint()).toBe(1)
    expect(told).toEqual([100])
    source.count()
    paint()
    expect(told).toEqual([100, 101])
  })

  it('says nothing after it was closed or left', () => {
    const { source, view, paint } = painted()
    const told: number[] = []
    const leave = view.subscribe(() => told.push(view.shown))
    source.count()
    leave()
    paint()
    view.subscribe(() => told.push(view.shown))
    source.count()
    view.close()
    paint()
    expect(told).toEqual([])
    expect(source.listeners.size).toBe(0)
  })
})
