// SpokenText: a streaming answer for screen readers: whole sentences, several at a time, without Markdown syntax.
// Pure. Every word is announced exactly once.
import { plainLine } from '@parley/protocol/title'
import { displayText } from '../shared/display-text.ts'

/** Shorter stretches are not announced before the answer ends. */
const MIN_CHARACTERS = 120

export interface Announcement {
  /** Markdown; empty if there is nothing to announce yet. */
  readonly text: string
  /** The length of the text that has been announced, including this. */
  readonly spoken: number
}

/** @param spoken the length that was announced before @param ended whether the text is complete */
export function nextAnnouncement(text: string, spoken: number, ended: boolean): Announcement {
  if (ended) return { text: text.slice(spoken).trim(), spoken: text.length }
  const rest = text.slice(spoken)
  const end = rest.length < MIN_CHARACTERS ? 0 : sentenceEnd(rest)
  return { text: rest.slice(0, end).trim(), spoken: spoken + end }
}

/** The end of the last complete sentence, line or list item; 0 if there is none. */
function sentenceEnd(text: string): number {
  let end = 0
  for (const match of text.matchAll(/[.!?…:](?=\s)|[。！？]|\n/gu)) end = match.index + match[0].length
  return end
}

export interface SpokenText {
  readonly text: string
  /** Whether the text ends inside a code block. */
  readonly inCode: boolean
}

/** Does not take longer than in proportion to the text, whatever it contains. */
const FENCE = /^\s*(?:`{3,}(?=[^`]*$)|~{3,})(.*)$/

/**
 * Markdown as spoken words: a link by its text, and a code block by a mention.
 * @param text a part of a Markdown text @param inCode whether it begins inside a code block
 */
export function spokenText(text: string, inCode: boolean): SpokenText {
  let code = inCode
  const lines = text.split('\n').flatMap((line) => {
    const fence = FENCE.exec(line)
    if (fence !== null) {
      code = !code
      const lang = fence[1]?.trim() ?? ''
      return code ? [lang === '' ? 'Code block.' : `Code block in ${lang}.`] : []
    }
    const spoken = code ? '' : plainLine(line)
    return spoken === '' ? [] : [spoken]
  })
  return { text: displayText(lines.join(' ')), inCode: code }
}
