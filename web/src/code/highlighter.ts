// Highlighter: colours programs. Its grammars are a file of their own, fetched when the first program is shown; until
// then, and when that fails, programs are plain text.
import { type Run, runsOf } from './highlighted-lines.ts'

export interface Highlighter {
  knows(lang: string): boolean
  colour(code: string, lang: string): readonly Run[]
}

let highlighter: Highlighter | undefined
let asked = false
const listeners = new Set<() => void>()

/** For React: tells when the highlighter has come. */
export function subscribeHighlighter(listener: () => void): () => void {
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
  }
}

/** The highlighter when it is there; asking for it fetches it. */
export function presentHighlighter(): Highlighter | undefined {
  if (!asked) {
    asked = true
    load().catch(() => {
      // Programs stay plain; the next one asks again.
      asked = false
    })
  }
  return highlighter
}

async function load(): Promise<void> {
  const { grammars } = await import('./grammars.ts')
  highlighter = {
    knows: (lang) => grammars.getLanguage(lang) !== undefined,
    colour: (code, lang) => runsOf(grammars.highlight(code, { language: lang, ignoreIllegals: true }).value),
  }
  for (const listener of [...listeners]) listener()
}
