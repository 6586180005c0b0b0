// Speakable: Markdown as it is said: without its signs, links by their words, programs by their mere presence. Pure.

export interface Said {
  readonly text: string
  /** Whether a program is still going on at its end. */
  readonly inCode: boolean
}

const FENCE = /^\s*(?:`{3,}|~{3,})\s*([^`]*)$/

/** @param text a stretch of Markdown @param inCode whether it begins inside of a program */
export function speakable(text: string, inCode: boolean): Said {
  let code = inCode
  const lines = text.split('\n').flatMap((line) => {
    const fence = FENCE.exec(line)
    if (fence !== null) {
      code = !code
      const lang = fence[1]?.trim() ?? ''
      return code ? [lang === '' ? 'A program.' : `A program in ${lang}.`] : []
    }
    const said = code ? '' : spokenLine(line)
    return said === '' ? [] : [said]
  })
  return { text: lines.join(' '), inCode: code }
}

function spokenLine(line: string): string {
  const isTable = /^\s*\|/.test(line)
  if (isTable && /^[\s|:-]+$/.test(line)) return ''
  const cells = isTable
    ? line
        .trim()
        .replaceAll(/^\||\|$/g, '')
        .split('|')
        .map((cell) => cell.trim())
        .join(', ')
    : line
  return cells
    .replace(/^\s*(?:#{1,6}\s+|>\s?|[-*+]\s+(?:\[[ xX]\]\s+)?|[-*_=]{3,}\s*$)/, '')
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/\*\*|__|~~|`/g, '')
    .replaceAll(/(^|\s)[*_](?=\S)|(\S)[*_](?=\s|[.,;:!?]|$)/g, '$1$2')
    .trim()
}
