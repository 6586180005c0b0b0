// ListPlace: one item of a long list, of which only a part is in the page. A screen reader is told which of all it is.
import type { CustomItemComponentProps } from 'virtua'

export function ListPlace({ style, index, children, ref }: CustomItemComponentProps) {
  return (
    <li className='list-place' style={style} ref={ref} aria-posinset={index + 1} aria-setsize={-1}>
      {children}
    </li>
  )
}
