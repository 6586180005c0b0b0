// Highlighter: loads the syntax highlighter with the first code block. Code blocks stay plain until it is loaded, and
// if loading fails.
import { type Run, runsOf } from './highlighted-lines.ts'

export interface Highlighter {
  knows(lang: string): boolean
  highlight(code: string, lang: string): readonly Run[]
}

let highlighter: Highlighter | undefined
let requested = false
const listeners = new Set<() => void>()

/** For React: calls back when the highlighter is loaded. */
export function subscribeHighlighter(listener: () => void): () => void {
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
  }
}

/** Returns the highlighter if it is loaded. The first call starts loading it. */
export function currentHighlighter(): Highlighter | undefined {
  if (!requested) {
    requested = true
    load().catch(() => {
      // The next code block tries again.
      requested = false
    })
  }
  return highlighter
}

async function load(): Promise<void> {
  const { grammars } = await import('./grammars.ts')
  highlighter = {
    knows: (lang) => grammars.getLanguage(lang) !== undefined,
    highlight: (code, lang) => runsOf(grammars.highlight(code, { language: lang, ignoreIllegals: true }).value),
  }
  for (const listener of [...listeners]) listener()
}
