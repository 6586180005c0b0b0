// ScrollBox: what may be wider than the page scrolls in a box of its own. It takes the keyboard's focus only when
// there is something to scroll, so that a long answer is not full of stops.
import { type ReactNode, useLayoutEffect, useRef, useState } from 'react'

interface Props {
  readonly label: string
  readonly className: string
  readonly children: ReactNode
}

export function ScrollBox({ label, className, children }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const scrolls = useScrolls(box)
  return (
    <div
      ref={box}
      className={`scroll-box ${className}`}
      {...(scrolls ? { role: 'group', tabIndex: 0, 'aria-label': label } : {})}
    >
      {children}
    </div>
  )
}

function useScrolls(box: { readonly current: HTMLElement | null }): boolean {
  const [scrolls, setScrolls] = useState(false)
  // Before it is painted: nobody comes upon a box that scrolls and cannot be reached.
  useLayoutEffect(() => {
    const element = box.current
    if (element === null) return undefined
    const look = (): void =>
      setScrolls(element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight)
    look()
    const observer = new ResizeObserver(look)
    observer.observe(element)
    // What is in it grows without the box growing.
    for (const child of element.children) observer.observe(child)
    return () => observer.disconnect()
  }, [box])
  return scrolls
}
