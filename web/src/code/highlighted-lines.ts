// Coloured: a program's text as runs of one kind each, out of the HTML that the highlighter writes. Pure. The HTML is
// read here and never given to the page: what is no span of the highlighter's own is text.

export interface Run {
  readonly text: string
  /** Classes of the style sheet; undefined: plain text. */
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

/** Runs by chunks of whole lines. Where a chunk is like the one held at its place, that very object is taken. */
export function chunksOf(runs: readonly Run[], held: readonly Chunk[]): readonly Chunk[] {
  const chunks: Chunk[] = []
  let present: Run[] = []
  let lines = 0
  const close = (): void => {
    const chunk = { runs: present, text: present.map(({ text }) => text).join('') }
    const same = held[chunks.length]
    chunks.push(same !== undefined && isSame(same, chunk) ? same : chunk)
    present = []
    lines = 0
  }
  for (const run of runs) {
    for (const piece of run.text.split(/(?<=\n)/)) {
      if (piece === '') continue
      present.push({ text: piece, kind: run.kind })
      if (!piece.endsWith('\n')) continue
      lines += 1
      if (lines === CHUNK_LINES) close()
    }
  }
  if (present.length > 0) close()
  return chunks
}

function isSame(a: Chunk, b: Chunk): boolean {
  if (a.text !== b.text || a.runs.length !== b.runs.length) return false
  return a.runs.every((run, at) => run.text === b.runs[at]?.text && run.kind === b.runs[at]?.kind)
}
