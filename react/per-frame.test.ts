// A copy of a source notifies its listeners once per frame, however often the source changes.
import { describe, expect, it } from 'vitest'
import { frameCopy, perFrame, type Source } from './per-frame.ts'

class Counter {
  value = 0
  readonly listeners = new Set<() => void>()

  readonly getSnapshot = (): number => this.value

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => {
      this.listeners.delete(listener)
    }
  }

  count(): void {
    this.value += 1
    for (const listener of this.listeners) listener()
  }
}

function setUp(): { source: Counter; copy: Source<number>; paint: () => number } {
  const source = new Counter()
  const frames: (() => void)[] = []
  const copy = frameCopy(source, (callback) => frames.push(callback))
  return { source, copy, paint: () => frames.splice(0).map((frame) => frame()).length }
}

describe('a copy per frame', () => {
  it('reports many changes once, with the last state', () => {
    const { source, copy, paint } = setUp()
    const seen: number[] = []
    copy.subscribe(() => seen.push(copy.getSnapshot()))
    for (let i = 0; i < 100; i += 1) source.count()
    expect(copy.getSnapshot()).toBe(0)
    expect(paint()).toBe(1)
    expect(seen).toEqual([100])
    source.count()
    paint()
    expect(seen).toEqual([100, 101])
  })

  it('follows its source only while somebody listens, and is current without listeners', () => {
    const { source, copy, paint } = setUp()
    const seen: number[] = []
    const listener = (): number => seen.push(copy.getSnapshot())
    const [first, second] = [copy.subscribe(listener), copy.subscribe(listener)]
    source.count()
    paint()
    expect(seen).toEqual([1, 1])
    first()
    source.count()
    second()
    expect(source.listeners.size).toBe(0)
    expect(copy.getSnapshot()).toBe(2)
    paint()
    expect(seen).toEqual([1, 1])
    copy.subscribe(listener)
    source.count()
    paint()
    expect(seen).toEqual([1, 1, 3])
  })

  it('is shared by all readers of a source', () => {
    const source = new Counter()
    expect(perFrame(source)).toBe(perFrame(source))
  })
})
