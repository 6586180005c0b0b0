// useStickToEnd: a scrolled box that stays at its end while it grows, unless the reader scrolled up. The box also moves
// by itself, when turns above what is seen turn out to be higher or lower than was thought: that is no reader's move.
// While something in it is pressed it stands still, and nothing comes to lie over it: a press ends on the button on
// which it began.
import { type RefObject, useCallback, useEffect, useState } from 'react'

/** Pixels from the end that still count as the end. */
const NEAR = 32
/** Milliseconds after an input of the reader in which a move is theirs. */
const INPUT_MS = 1_000
/** Milliseconds after a change of the content in which a move without an input is the content's. */
const CHANGE_MS = 300
const INPUTS = ['wheel', 'touchmove', 'keydown', 'pointerdown', 'pointermove'] as const
/** What tells that a press is over. */
const RELEASES = ['pointerup', 'pointercancel', 'pointermove'] as const

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
    let input = Number.NEGATIVE_INFINITY
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
      // A pointer that only passes over the page scrolls nothing.
      if (event.type !== 'pointermove' || (event as PointerEvent).buttons !== 0) input = performance.now()
    }
    const onPress = (event: PointerEvent): void => {
      clearTimeout(released)
      pressed = event.button === 0
    }
    const onRelease = (event: PointerEvent): void => {
      // A press may end where the page does not hear of it: a pointer that moves with no button down tells.
      if (!pressed || (event.type === 'pointermove' && event.buttons !== 0)) return
      clearTimeout(released)
      // The click comes after this event.
      released = setTimeout(() => {
        pressed = false
        stick()
        setAtEnd(stuck)
      })
    }
    const onScroll = (): void => {
      const now = performance.now()
      const distance = scrolled.scrollHeight - scrolled.clientHeight - scrolled.scrollTop
      // Without an input the move may still be the reader's: the browser's search, or a screen reader.
      const isReaders = now - input < INPUT_MS || now - change > CHANGE_MS
      if (distance <= NEAR) stuck = true
      else if (scrolled.scrollTop < last - 1 && isReaders) stuck = false
      else stick()
      last = scrolled.scrollTop
      if (!pressed) setAtEnd(stuck)
    }
    const observer = new ResizeObserver(onResize)
    observer.observe(grows)
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
    // The scroll event that follows makes it stick again.
    if (scrolled !== null) scrolled.scrollTop = scrolled.scrollHeight
  }, [box])
  return { atEnd, toEnd }
}
