// useStickToEnd: keeps a growing scroll box at its end, unless the user has scrolled up. The virtual list also scrolls
// the box when it corrects the estimated heights of turns above; that must not count as scrolling by the user. While a
// pointer is pressed, the box does not scroll and no button appears over it, so that a click ends on the button where
// it began.
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react'

/** Within this many pixels from the end, the box counts as being at its end. */
const NEAR = 32
/** A scroll within this many milliseconds after an input is the user's. */
const INPUT_MS = 1_000
/** A scroll without an input within this many milliseconds after a change of the content is the list's. */
const CHANGE_MS = 300
const INPUTS = ['wheel', 'touchmove', 'keydown', 'pointerdown', 'pointermove'] as const
/** Events that may end a press. */
const RELEASES = ['pointerup', 'pointercancel', 'pointermove'] as const

export interface StickToEnd {
  readonly atEnd: boolean
  readonly toEnd: () => void
  /** The next scroll is the user's. */
  readonly beforeScroll: () => void
}

/** @param box the scroll box @param content the growing element in it */
export function useStickToEnd(box: RefObject<HTMLElement | null>, content: RefObject<HTMLElement | null>): StickToEnd {
  const [atEnd, setAtEnd] = useState(true)
  /** The time of the last input. */
  const input = useRef(Number.NEGATIVE_INFINITY)

  useEffect(() => {
    const scrolled = box.current
    const growing = content.current
    if (scrolled === null || growing === null) return undefined
    let stuck = true
    let last = scrolled.scrollTop
    let change = performance.now()
    let pressed = false
    let released: ReturnType<typeof setTimeout> | undefined
    const stick = (): void => {
      if (!stuck || pressed) return
      scrolled.scrollTop = scrolled.scrollHeight
      last = scrolled.scrollTop
    }
    const onResize = (): void => {
      change = performance.now()
      stick()
    }
    const onInput = (event: Event): void => {
      // A pointer that moves without a button does not scroll.
      if (event.type !== 'pointermove' || (event as PointerEvent).buttons !== 0) input.current = performance.now()
    }
    const onPress = (event: PointerEvent): void => {
      clearTimeout(released)
      pressed = event.button === 0
    }
    const onRelease = (event: PointerEvent): void => {
      // A press may end outside the window without an event: then a move without a button ends it.
      if (!pressed || (event.type === 'pointermove' && event.buttons !== 0)) return
      clearTimeout(released)
      // The click event follows this one.
      released = setTimeout(() => {
        pressed = false
        stick()
        setAtEnd(stuck)
      })
    }
    const onScroll = (): void => {
      const now = performance.now()
      const distance = scrolled.scrollHeight - scrolled.clientHeight - scrolled.scrollTop
      // Without an input the scroll may still be the user's: by the browser's search, or by a screen reader.
      const isByUser = now - input.current < INPUT_MS || now - change > CHANGE_MS
      if (distance <= NEAR) stuck = true
      else if (scrolled.scrollTop < last - 1 && isByUser) stuck = false
      else stick()
      last = scrolled.scrollTop
      if (!pressed) setAtEnd(stuck)
    }
    const observer = new ResizeObserver(onResize)
    observer.observe(growing)
    observer.observe(scrolled)
    scrolled.addEventListener('scroll', onScroll, { passive: true })
    scrolled.addEventListener('pointerdown', onPress, { passive: true })
    for (const type of INPUTS) scrolled.addEventListener(type, onInput, { passive: true })
    for (const type of RELEASES) window.addEventListener(type, onRelease, { passive: true })
    return () => {
      clearTimeout(released)
      observer.disconnect()
      scrolled.removeEventListener('scroll', onScroll)
      scrolled.removeEventListener('pointerdown', onPress)
      for (const type of INPUTS) scrolled.removeEventListener(type, onInput)
      for (const type of RELEASES) window.removeEventListener(type, onRelease)
    }
  }, [box, content])

  const toEnd = useCallback(() => {
    const scrolled = box.current
    // The resulting scroll event makes the box stick again.
    if (scrolled !== null) scrolled.scrollTop = scrolled.scrollHeight
  }, [box])
  const beforeScroll = useCallback(() => {
    input.current = performance.now()
  }, [])
  return { atEnd, toEnd, beforeScroll }
}
