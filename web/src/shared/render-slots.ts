// RenderSlots: spreads the rendering of many elements over frames, so that no task takes long. What finds no slot in a
// frame renders in a later one, in order.
import { useEffect, useState } from 'react'

/** Elements that begin to render in one frame. */
const PER_FRAME = 1_000

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

function take(size: number): boolean {
  if (left <= 0) return false
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
      if (left <= 0) break
      waiting.delete(entry)
      left -= entry.size
      entry.show()
    }
    if (waiting.size > 0) schedule()
  })
}
