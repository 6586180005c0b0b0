// HighlightedLines: parses the highlighter's HTML into runs of text, each of one kind, and groups them into chunks of
// lines. Pure. The HTML never reaches the page: anything that is not one of the highlighter's spans is text.

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

/** Some lines of a program. */
export interface Chunk {
  readonly runs: readonly Run[]
  readonly text: string
}

export const CHUNK_LINES = 40
/** A chunk with more runs is plain text, so that a minified program does not become as many elements. */
const RUNS_MAX = 2_000

/** Groups runs into chunks of whole lines. A chunk equal to the previous one at its index is that same object. */
export function chunksOf(runs: readonly Run[], previous: readonly Chunk[]): readonly Chunk[] {
  const chunks: Chunk[] = []
  let current: Run[] = []
  let lines = 0
  const close = (): void => {
    const text = current.map((run) => run.text).join('')
    const chunk = { runs: current.length > RUNS_MAX ? [{ text, kind: undefined }] : current, text }
    const before = previous[chunks.length]
    chunks.push(before !== undefined && isEqual(before, chunk) ? before : chunk)
    current = []
    lines = 0
  }
  for (const run of runs) {
    for (const piece of run.text.split(/(?<=\n)/)) {
      if (piece === '') continue
      const last = current.at(-1)
      if (last !== undefined && last.kind === run.kind)
        current[current.length - 1] = { text: last.text + piece, kind: run.kind }
      else current.push({ text: piece, kind: run.kind })
      if (!piece.endsWith('\n')) continue
      lines += 1
      if (lines === CHUNK_LINES) close()
    }
  }
  if (current.length > 0) close()
  return chunks
}

function isEqual(a: Chunk, b: Chunk): boolean {
  if (a.text !== b.text || a.runs.length !== b.runs.length) return false
  return a.runs.every((run, at) => run.text === b.runs[at]?.text && run.kind === b.runs[at]?.kind)
}
