// ScrollBox: a scrollable box for wide content. It is a tab stop only while it overflows, so that a long answer does
// not have many needless tab stops.
import { type ReactNode, useLayoutEffect, useRef, useState } from 'react'

interface Props {
  readonly label: string
  readonly className: string
  readonly children: ReactNode
}

export function ScrollBox({ label, className, children }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const overflows = useOverflows(box)
  return (
    <div
      ref={box}
      className={`scroll-box ${className}`}
      {...(overflows ? { role: 'group', tabIndex: 0, 'aria-label': label } : {})}
    >
      {children}
    </div>
  )
}

function useOverflows(box: { readonly current: HTMLElement | null }): boolean {
  const [overflows, setOverflows] = useState(false)
  // In a layout effect: an overflowing box must be reachable by keyboard from its first frame.
  useLayoutEffect(() => {
    const element = box.current
    if (element === null) return undefined
    const measure = (): void =>
      setOverflows(element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight)
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    // The content may grow while the box keeps its size.
    for (const child of element.children) observer.observe(child)
    return () => observer.disconnect()
  }, [box])
  return overflows
}
