// HighlightedLines: parses the highlighter's HTML into runs of text, each of one kind, and groups them into chunks of
// lines. Pure. The HTML never reaches the page: anything that is not one of the highlighter's spans is text.
import { PART_CHARS, textParts } from '../shared/text-parts.ts'

export interface Run {
  readonly text: string
  /** CSS classes; undefined for plain text. */
  readonly kind: string | undefined
}

const TOKEN = /<span class="([\w\- ]*)">|<\/span>|&(amp|lt|gt|quot|#x27);|[^<&]+|[<&]/g
const CHARACTERS: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#x27': "'" }

export function runsOf(html: string): readonly Run[] {
  const runs: Run[] = []
  const kinds: string[] = []
  let text = ''
  const flush = (): void => {
    if (text !== '') runs.push({ text, kind: kinds.at(-1) })
    text = ''
  }
  for (const [token, kind, character] of html.matchAll(TOKEN)) {
    if (kind !== undefined) {
      flush()
      kinds.push(kind)
    } else if (token === '</span>') {
      flush()
      kinds.pop()
    } else {
      text += character === undefined ? token : CHARACTERS[character]
    }
  }
  flush()
  return runs
}

/** Some lines of a program, or a part of a long one. */
export interface Chunk {
  readonly runs: readonly Run[]
  readonly text: string
}

export const CHUNK_LINES = 40
/** A chunk with more runs is plain text, so that a minified program does not become as many elements. */
const RUNS_MAX = 1_500

/**
 * Groups runs into chunks of whole lines, and cuts long lines into chunks. A chunk equal to the previous one at its index is
 * that same object.
 */
export function chunksOf(runs: readonly Run[], previous: readonly Chunk[]): readonly Chunk[] {
  const chunks: Chunk[] = []
  let current: Run[] = []
  let lines = 0
  let length = 0
  const close = (): void => {
    if (current.length === 0) return
    const text = current.map((run) => run.text).join('')
    const chunk = { runs: current.length > RUNS_MAX ? [{ text, kind: undefined }] : current, text }
    const before = previous[chunks.length]
    chunks.push(before !== undefined && isEqual(before, chunk) ? before : chunk)
    current = []
    lines = 0
    length = 0
  }
  const add = ({ text, kind }: Run): void => {
    const last = current.at(-1)
    if (last !== undefined && last.kind === kind) current[current.length - 1] = { text: last.text + text, kind }
    else current.push({ text, kind })
    length += text.length
  }
  for (const line of linesOf(runs)) {
    const isLong = lengthOf(line) > PART_CHARS
    if (isLong) close()
    for (const run of isLong ? line.flatMap(cut) : line) {
      if (isLong && length + run.text.length > PART_CHARS) close()
      add(run)
    }
    lines += 1
    if (isLong || lines === CHUNK_LINES || length > PART_CHARS) close()
  }
  close()
  return chunks
}

function linesOf(runs: readonly Run[]): readonly (readonly Run[])[] {
  const lines: Run[][] = [[]]
  for (const { text, kind } of runs) {
    for (const piece of text.split(/(?<=\n)/)) {
      if (piece === '') continue
      lines.at(-1)?.push({ text: piece, kind })
      if (piece.endsWith('\n')) lines.push([])
    }
  }
  return lines
}

function lengthOf(line: readonly Run[]): number {
  return line.reduce((sum, { text }) => sum + text.length, 0)
}

function cut({ text, kind }: Run): readonly Run[] {
  return textParts(text).map((part) => ({ text: part, kind }))
}

function isEqual(a: Chunk, b: Chunk): boolean {
  if (a.text !== b.text || a.runs.length !== b.runs.length) return false
  return a.runs.every((run, at) => run.text === b.runs[at]?.text && run.kind === b.runs[at]?.kind)
}

/** The runs of a chunk without the line breaks at its end. */
export function withoutBreaks(runs: readonly Run[], breaks: number): readonly Run[] {
  const shown = [...runs]
  for (let left = breaks; left > 0; ) {
    const last = shown.pop()
    if (last === undefined) break
    if (last.text.length > left) shown.push({ ...last, text: last.text.slice(0, -left) })
    left -= last.text.length
  }
  return shown
}
