// VirtualListItem: one item of a virtual list. Only a part of the list is in the page, so each item names its position
// for screen readers.
import type { CustomItemComponentProps } from 'virtua'

export function VirtualListItem({ style, index, children, ref }: CustomItemComponentProps) {
  return (
    <li className='virtual-list-item' style={style} ref={ref} aria-posinset={index + 1} aria-setsize={-1}>
      {children}
    </li>
  )
}
