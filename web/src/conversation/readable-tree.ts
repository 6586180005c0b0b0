// ReadableTree: the input or the result of a tool call for people: names with their values, lists, and texts. The card shows it, and
// the search looks into it. Pure.
import { displayText } from '../shared/display-text.ts'
import { toJson, truncate } from './call-note.ts'

export type Readable =
  | { readonly kind: 'text'; readonly text: string; readonly isRemark?: true }
  | {
      readonly kind: 'rows'
      /** Whether the rows have names. */
      readonly named: boolean
      readonly rows: readonly ReadableRow[]
      /** The number of rows that are left out. */
      readonly hidden: number
    }

export interface ReadableRow {
  /** '' for an item of a list. */
  readonly name: string
  readonly value: Readable
}

/** Of one value: rows and items, levels, and UTF-16 code units of one text. The rest is in the JSON only. */
const MAX_ROWS = 200
const MAX_DEPTH = 6
const MAX_TEXT = 8_000

export function readable(value: unknown): Readable {
  return tree(value, 0, { left: MAX_ROWS })
}

/** The names and texts of a value, each in a line of its own. */
export function readableText(value: unknown): string {
  const lines: string[] = []
  const collect = (part: Readable): void => {
    if (part.kind === 'text') lines.push(part.text)
    else for (const row of part.rows) collectRow(row)
  }
  const collectRow = ({ name, value: part }: ReadableRow): void => {
    if (name !== '') lines.push(name)
    collect(part)
  }
  collect(readable(value))
  return lines.join('\n')
}

/** Counts the rows of the whole value. */
interface Rows {
  left: number
}

function tree(value: unknown, depth: number, rows: Rows): Readable {
  if (typeof value === 'string') return text(value)
  if (typeof value !== 'object' || value === null) return remark(String(value ?? 'none'))
  if (depth === MAX_DEPTH) return text(toJson(value))
  const all = Array.isArray(value) ? value.map((item) => ['', item] as const) : Object.entries(value)
  if (all.length === 0) return remark('none')
  const shown = all.slice(0, rows.left)
  rows.left -= shown.length
  return {
    kind: 'rows',
    named: !Array.isArray(value),
    rows: shown.map(([name, part]) => ({ name: displayText(name), value: tree(part, depth + 1, rows) })),
    hidden: all.length - shown.length,
  }
}

function text(value: string): Readable {
  return value === '' ? remark('empty text') : { kind: 'text', text: displayText(truncate(value, MAX_TEXT)) }
}

function remark(words: string): Readable {
  return { kind: 'text', text: words, isRemark: true }
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
