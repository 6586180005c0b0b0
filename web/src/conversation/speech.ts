// Speech: what a screen reader is told of an answer while it grows: whole sentences, several at a time, and never a
// word twice. Pure.

/** Characters that are worth an announcement of their own, before the answer has ended. */
const WORTH = 120

export interface Speech {
  /** Empty when there is nothing to say yet. */
  readonly say: string
  /** How much of the text was said, with it. */
  readonly spoken: number
}

/** @param spoken how much of the text was said before @param ended whether nothing more will come */
export function nextSpeech(text: string, spoken: number, ended: boolean): Speech {
  if (ended) return { say: text.slice(spoken).trim(), spoken: text.length }
  const fresh = text.slice(spoken)
  if (fresh.length < WORTH) return { say: '', spoken }
  const end = sentenceEnd(fresh)
  return end === 0 ? { say: '', spoken } : { say: fresh.slice(0, end).trim(), spoken: spoken + end }
}

/** After the last sentence, line or item that is whole; 0 when none is. */
function sentenceEnd(text: string): number {
  let end = 0
  for (const match of text.matchAll(/[.!?…:](?=\s)|[。！？]|\n/gu)) end = match.index + match[0].length
  return end
}
