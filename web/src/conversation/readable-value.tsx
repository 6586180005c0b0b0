// ReadableValue: shows the input or the result of a tool call for people.
import type { ReactNode } from 'react'
import { type Readable, readable } from './readable-tree.ts'

export function ReadableValue({ value }: { readonly value: unknown }): ReactNode {
  return element(readable(value))
}

function element(part: Readable): ReactNode {
  if (part.kind === 'text') return part.isRemark === true ? part.text : <span dir='auto'>{part.text}</span>
  const { named, rows, hidden } = part
  return (
    <ul className={named ? 'fields' : 'items'}>
      {rows.map(({ name, value }, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows never move.
        <li key={at}>
          {named ? <b dir='auto'>{name}</b> : null}
          <div>{element(value)}</div>
        </li>
      ))}
      {hidden === 0 ? null : <li className='aside'>{hidden.toLocaleString('en')} more</li>}
    </ul>
  )
}
