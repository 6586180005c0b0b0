// RenderSlots: spreads the rendering of many elements over frames, so that no task takes long. What finds no slot in a
// frame renders in a later one, in order.
import { useEffect, useState } from 'react'

/** Elements that begin to render in one frame. */
const PER_FRAME = 1_000

/** UTF-16 code units of text that cost as much as one element: browsers take up to 25 µs for a letter beyond Latin-1. */
const TEXT_CHARS = 64
const SLOW_CHARS = 4

interface Waiting {
  readonly size: number
  readonly show: () => void
}

let left = PER_FRAME
let scheduled = false
const waiting = new Set<Waiting>()

/** @param size about how many elements the component renders @returns whether it may render now */
export function useRenderSlot(size: number): boolean {
  const [shown, setShown] = useState(() => take(size))
  // biome-ignore lint/correctness/useExhaustiveDependencies: a waiting component that grows keeps its place.
  useEffect(() => {
    if (shown) return undefined
    const entry = { size, show: () => setShown(true) }
    waiting.add(entry)
    schedule()
    return () => {
      waiting.delete(entry)
    }
  }, [shown])
  return shown
}

/** About how many elements cost as much as this text. */
export function textSize(text: string): number {
  return Math.floor(text.length / (/[\u0100-\uffff]/.test(text) ? SLOW_CHARS : TEXT_CHARS))
}

/** What is larger than a frame gets one of its own. */
function fits(size: number): boolean {
  return size <= left || left === PER_FRAME
}

function take(size: number): boolean {
  if (!fits(size)) return false
  left -= size
  schedule()
  return true
}

function schedule(): void {
  if (scheduled) return
  scheduled = true
  requestAnimationFrame(() => {
    scheduled = false
    left = PER_FRAME
    for (const entry of waiting) {
      if (!fits(entry.size)) break
      waiting.delete(entry)
      left -= entry.size
      entry.show()
    }
    if (waiting.size > 0) schedule()
  })
}
