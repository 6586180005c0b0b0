// LongTexts: the texts that a text box shows below it, because they are too slow to lay out. Browsers lay out a whole text box at each
// change, and a line that needs several fonts or directions in a time that grows with the square of its length. Pure.

/** The parts of one text. */
export interface BoxText {
  /** In the box. */
  readonly text: string
  /** Below it, in order. */
  readonly long: readonly string[]
}

const GAP = '\n\n'

/** A shorter text is never too slow. */
export const MIN_LONG_CHARS = 1_000
/** What stays in the box if the rest is too slow: paragraphs of at most this many UTF-16 code units. */
const KEPT_CHARS = 2_000

export function joined({ text, long }: BoxText): string {
  return [...(text.trim() === '' && long.length > 0 ? [] : [text]), ...long].join(GAP)
}

/** The first paragraphs of a text that is too slow stay in the box. */
export function split(value: string): BoxText {
  if (!isSlowToLayOut(value)) return { text: value, long: [] }
  const end = value.lastIndexOf(GAP, KEPT_CHARS)
  return end < 0 ? { text: '', long: [value] } : { text: value.slice(0, end), long: [value.slice(end + GAP.length)] }
}

/** Milliseconds that one paste or one letter may take. */
const BUDGET_MS = 150

// Milliseconds, the slower of Chromium 156 and Firefox 153.
const ASCII_MS = 0.001
const LATIN_MS = 0.002
/** Any other letter. */
const LETTER_MS = 0.004
/** A pair of code units, most often an emoji. */
const PAIR_MS = 0.05
const TAB_MS = 0.006
const BREAK_MS = 0.05
const LOOKED_UP_MS = 0.03
// Times the square of their number.
const BREAKS_MS = 1.2e-5
const LINE_MS = 2e-6
const MARKS_MS = 7e-6

/** From here on letters are slow: below are Latin, Greek, Cyrillic and Armenian. */
const HEBREW = 0x590

/** Combining marks on one letter. */
const MARKS = /\p{M}{500,}/gu
/** Thai, Lao, Burmese and Khmer: browsers look up the words between two spaces in a dictionary. */
const LOOKED_UP = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{200,}/g

/** @returns whether a text box with this text would stall the page */
export function isSlowToLayOut(text: string): boolean {
  if (text.length < MIN_LONG_CHARS) return false
  let spent = unitsCost(text)
  for (const [marks] of text.matchAll(MARKS)) spent += MARKS_MS * marks.length ** 2
  for (const [word] of text.matchAll(LOOKED_UP)) spent += LOOKED_UP_MS * word.length
  return spent > BUDGET_MS
}

function unitsCost(text: string): number {
  let spent = 0
  let breaks = 0
  let begin = 0
  /** In this line. */
  let slow = 0
  for (let at = 0; at <= text.length; at += 1) {
    const unit = text.charCodeAt(at)
    if (unit === 0x0a || at === text.length) {
      // Each other letter may be slow.
      spent += LINE_MS * Math.min(at - begin, 2 * slow) ** 2
      breaks += 1
      begin = at + 1
      slow = 0
    } else if (unit < 0x80) spent += unit === 0x09 ? TAB_MS : ASCII_MS
    else if (unit < HEBREW) spent += LATIN_MS
    else {
      spent += unit >= 0xd800 && unit < 0xdc00 ? PAIR_MS : LETTER_MS
      slow += 1
    }
  }
  return spent + BREAK_MS * breaks + BREAKS_MS * breaks ** 2
}
