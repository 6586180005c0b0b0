// SpokenText: a streaming answer for screen readers: whole sentences, several at a time, without Markdown syntax.
// Pure. Every word is announced exactly once.
import { plainLine } from '@parley/protocol/title'
import { displayText } from '../shared/display-text.ts'
import { spokenLine } from './spoken-formula.ts'

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
  /** What the text ends inside of: a code block, or a formula that this ends. */
  readonly inside: Inside
}

export type Inside = 'code' | '$$' | '\\]' | undefined

/** None of these patterns takes longer than in proportion to the text, whatever it contains. */
const FENCE = /^\s*(?:`{3,}(?=[^`]*$)|~{3,})(.*)$/

/** A footnote, and a reference to one. */
const FOOTNOTE = /^\s*\[\^([\w-]{1,20})\]:\s*/
const REFERENCE = /\[\^[\w-]{1,20}\]/g

/**
 * Markdown as spoken words: a link by its text, a formula by words, and a code block by a mention.
 * @param text a part of a Markdown text @param inside where it begins
 */
export function spokenText(text: string, inside: Inside): SpokenText {
  let now = inside
  const lines = text.split('\n').flatMap((line) => {
    const fence = now === undefined || now === 'code' ? FENCE.exec(line) : null
    if (fence !== null) {
      now = now === 'code' ? undefined : 'code'
      const lang = fence[1]?.trim() ?? ''
      return now === 'code' ? [lang === '' ? 'Code block.' : `Code block in ${lang}.`] : []
    }
    if (now === 'code') return []
    const { text: words, closing } = spokenLine(line, now)
    now = closing
    const spoken = plainLine(words.replace(FOOTNOTE, 'Footnote $1: ').replaceAll(REFERENCE, ''))
    return spoken === '' ? [] : [spoken]
  })
  return { text: displayText(lines.join(' ')), inside: now }
}
