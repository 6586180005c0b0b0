// useStickToEnd: a scrolled box that stays at its end while it grows, unless the reader scrolled up.
import { type RefObject, useCallback, useEffect, useState } from 'react'

/** Pixels from the end that still count as the end. */
const NEAR = 32

export interface StickToEnd {
  readonly atEnd: boolean
  readonly toEnd: () => void
}

/** @param box what is scrolled @param content what grows in it */
export function useStickToEnd(box: RefObject<HTMLElement | null>, content: RefObject<HTMLElement | null>): StickToEnd {
  const [atEnd, setAtEnd] = useState(true)

  useEffect(() => {
    const scrolled = box.current
    const grows = content.current
    if (scrolled === null || grows === null) return undefined
    let stuck = true
    let last = scrolled.scrollTop
    const stick = (): void => {
      if (!stuck) return
      scrolled.scrollTop = scrolled.scrollHeight
      last = scrolled.scrollTop
    }
    const onScroll = (): void => {
      const distance = scrolled.scrollHeight - scrolled.clientHeight - scrolled.scrollTop
      // Content that grew also makes a distance: only a move upwards is the reader's.
      if (distance <= NEAR) stuck = true
      else if (scrolled.scrollTop < last - 1) stuck = false
      last = scrolled.scrollTop
      setAtEnd(stuck)
    }
    const observer = new ResizeObserver(stick)
    observer.observe(grows)
    observer.observe(scrolled)
    scrolled.addEventListener('scroll', onScroll, { passive: true })
    return () => {
      observer.disconnect()
      scrolled.removeEventListener('scroll', onScroll)
    }
  }, [box, content])

  const toEnd = useCallback(() => {
    const scrolled = box.current
    // The scroll event that follows makes it stick again.
    if (scrolled !== null) scrolled.scrollTop = scrolled.scrollHeight
  }, [box])
  return { atEnd, toEnd }
}
