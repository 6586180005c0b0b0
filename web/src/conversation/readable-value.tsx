// ReadableValue: the input or the result of a tool call for people: names with their values, lists, and texts as texts.
import type { ReactNode } from 'react'
import { displayText } from '../shared/display-text.ts'
import { toJson, truncate } from './call-note.ts'

/** Of one value: rows and items, levels, and UTF-16 code units of one text. The rest is in the JSON only. */
const MAX_ROWS = 200
const MAX_DEPTH = 6
const MAX_TEXT = 8_000

export function ReadableValue({ value }: { readonly value: unknown }): ReactNode {
  return element(value, 0, { left: MAX_ROWS })
}

/** Counts the rows of the whole value. */
interface Rows {
  left: number
}

function element(value: unknown, depth: number, rows: Rows): ReactNode {
  if (typeof value === 'string') return text(value)
  if (typeof value !== 'object' || value === null) return String(value ?? 'none')
  if (depth === MAX_DEPTH) return text(toJson(value))
  const all = Array.isArray(value) ? value.map((item) => [undefined, item] as const) : Object.entries(value)
  if (all.length === 0) return 'none'
  const shown = all.slice(0, rows.left)
  rows.left -= shown.length
  const hidden = all.length - shown.length
  const rest = hidden === 0 ? null : <li className='aside'>{hidden.toLocaleString('en')} more</li>
  return (
    <ul className={Array.isArray(value) ? 'items' : 'fields'}>
      {shown.map(([name, part], at) => (
        <li key={name ?? at}>
          {name === undefined ? null : <b dir='auto'>{displayText(name)}</b>}
          <div>{element(part, depth + 1, rows)}</div>
        </li>
      ))}
      {rest}
    </ul>
  )
}

function text(value: string): ReactNode {
  return value === '' ? 'empty text' : <span dir='auto'>{displayText(truncate(value, MAX_TEXT))}</span>
}

/** The lines that a value takes at least, counted up to `max`. */
export function lineCount(value: unknown, max: number): number {
  let lines = 0
  let level = [value]
  for (let depth = 0; level.length > 0 && depth <= MAX_DEPTH && lines <= max; depth += 1) {
    const below: unknown[] = []
    for (const part of level) {
      if (lines > max) break
      if (typeof part === 'string') lines += Math.max(part.split('\n').length, Math.ceil(part.length / 80))
      else if (typeof part !== 'object' || part === null) lines += 1
      else below.push(...Object.values(part).slice(0, MAX_ROWS))
    }
    level = below
  }
  return lines
}
