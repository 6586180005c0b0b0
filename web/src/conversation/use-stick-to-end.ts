// useStickToEnd: keeps a growing scroll box at its end, unless the user has scrolled up. The virtual list also scrolls
// the box when it corrects the estimated heights of turns above; that must not count as scrolling by the user. While a
// pointer is pressed, the box does not scroll and no button appears over it, so that a click ends on the button where
// it began.
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react'

/** Within this many pixels from the end, the box counts as being at its end. */
const NEAR = 32
/** A scroll within this many milliseconds after an input is the user's. */
const INPUT_MS = 1_000
/** Within this many milliseconds after a wheel or a key that scrolls up, the box does not stick again. */
const UP_MS = 300
/** A scroll without an input within this many milliseconds after a change of the content is the list's. */
const CHANGE_MS = 300
const INPUTS = ['wheel', 'touchmove', 'keydown', 'pointerdown', 'pointermove'] as const
/** Keys that scroll up. */
const UP = new Set(['ArrowUp', 'PageUp', 'Home'])
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
  const stuck = useRef(true)

  useEffect(() => {
    const scrolled = box.current
    const growing = content.current
    if (scrolled === null || growing === null) return undefined
    /** The time of the last wheel or key that scrolls up. */
    let up = Number.NEGATIVE_INFINITY
    let last = scrolled.scrollTop
    let change = performance.now()
    let pressed = false
    let released: ReturnType<typeof setTimeout> | undefined
    const stick = (): void => {
      if (!stuck.current || pressed) return
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
    // While an answer grows, this hook and the list scroll to the end, which stops Firefox's animation of a wheel or a key
    // before its first frame. So the box leaves its end at once; then neither scrolls it.
    const onUp = (event: Event): void => {
      if (scrolled.scrollTop === 0 || scrollsInside(event.target, scrolled)) return
      up = performance.now()
      if (!stuck.current) return
      stuck.current = false
      scrolled.scrollBy({ top: -NEAR - 1, behavior: 'instant' })
      if (!pressed) setAtEnd(false)
    }
    const onWheel = (event: WheelEvent): void => {
      if (event.deltaY < 0 && !event.ctrlKey && !event.shiftKey) onUp(event)
    }
    const onKey = (event: KeyboardEvent): void => {
      if (UP.has(event.key) && event.target === scrolled) onUp(event)
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
        setAtEnd(stuck.current)
      })
    }
    const onScroll = (): void => {
      const now = performance.now()
      const distance = scrolled.scrollHeight - scrolled.clientHeight - scrolled.scrollTop
      // Without an input the scroll may still be the user's: by the browser's search, or by a screen reader.
      const isByUser = now - input.current < INPUT_MS || now - change > CHANGE_MS
      if (scrolled.scrollTop < last - 1 && distance > 1 && isByUser) stuck.current = false
      else if (distance <= NEAR && now - up > UP_MS) stuck.current = true
      else stick()
      last = scrolled.scrollTop
      if (!pressed) setAtEnd(stuck.current)
    }
    const observer = new ResizeObserver(onResize)
    observer.observe(growing)
    observer.observe(scrolled)
    scrolled.addEventListener('scroll', onScroll, { passive: true })
    scrolled.addEventListener('wheel', onWheel, { passive: true })
    scrolled.addEventListener('keydown', onKey, { passive: true })
    scrolled.addEventListener('pointerdown', onPress, { passive: true })
    for (const type of INPUTS) scrolled.addEventListener(type, onInput, { passive: true })
    for (const type of RELEASES) window.addEventListener(type, onRelease, { passive: true })
    return () => {
      clearTimeout(released)
      observer.disconnect()
      scrolled.removeEventListener('scroll', onScroll)
      scrolled.removeEventListener('wheel', onWheel)
      scrolled.removeEventListener('keydown', onKey)
      scrolled.removeEventListener('pointerdown', onPress)
      for (const type of INPUTS) scrolled.removeEventListener(type, onInput)
      for (const type of RELEASES) window.removeEventListener(type, onRelease)
    }
  }, [box, content])

  const toEnd = useCallback(() => {
    const scrolled = box.current
    stuck.current = true
    setAtEnd(true)
    // The rest of an earlier scroll's animation does not leave the end again.
    input.current = Number.NEGATIVE_INFINITY
    if (scrolled !== null) scrolled.scrollTop = scrolled.scrollHeight
  }, [box])
  const beforeScroll = useCallback(() => {
    input.current = performance.now()
  }, [])
  return { atEnd, toEnd, beforeScroll }
}

/** @returns whether the event scrolls an element inside the box, such as a long tool result, and not the box */
function scrollsInside(target: EventTarget | null, box: HTMLElement): boolean {
  for (let at = target as Element | null; at !== null && at !== box; at = at.parentElement) {
    if (at.scrollTop > 0) return true
  }
  return false
}
