// ReadableValue: shows the input or the result of a tool call for people.
import type { ReactNode } from 'react'
import { LongText } from '../shared/long-text.tsx'
import { type Readable, readable } from './readable-tree.ts'

export function ReadableValue({ value }: { readonly value: unknown }): ReactNode {
  return element(readable(value))
}

function element(part: Readable): ReactNode {
  if (part.kind === 'text') {
    if (part.isRemark === true) return part.text
    return (
      <span dir='auto'>
        <LongText text={part.text} />
      </span>
    )
  }
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
