// HighlightMatches: finds matches in the parts of turns that are in the page, and highlights them without changing the document.

/** What is searched in a turn: the texts of its message; texts, reasoning and tool cards of the answer. */
const PARTS = '.bubble > .text, .answer > .text, .answer > .reasoning, .answer > .tool, .answer > .hand-off'
/** Labels that do not belong to the text. */
const LABELS = 'button, summary:not(.child-question), dt, .code-head, .unseen, .chip, .tool-decision, .decide, .aside'
const BLOCKS = 'p, summary, li, pre, th, td, h3, h4, h5, h6, blockquote, dd, .fields > li > b, .fields > li > div'
/** In one part. */
const MAX_RANGES = 5_000

/** The elements of a turn that are searched, in the order of `searchedParts`. */
export function partsIn(turn: Element): readonly Element[] {
  return [...turn.querySelectorAll(PARTS)]
}

export function rangesIn(part: Element, pattern: RegExp): Range[] {
  const ranges: Range[] = []
  const pieces = piecesOf(part)
  const text = pieces.map(({ text }) => text).join('')
  let piece = 0
  const locate = (offset: number): readonly [Text, number] | undefined => {
    while (offset > (pieces[piece]?.end ?? Number.POSITIVE_INFINITY)) piece += 1
    const found = pieces[piece]
    return found && [found.node, Math.max(0, offset - found.start)]
  }
  for (const { index, 0: match } of text.matchAll(pattern)) {
    const start = locate(index + 1)
    const end = locate(index + match.length)
    if (start === undefined || end === undefined || ranges.length === MAX_RANGES) break
    const range = document.createRange()
    range.setStart(start[0], start[1] - 1)
    range.setEnd(...end)
    ranges.push(range)
  }
  return ranges
}

/** Opens what hides an element: reasoning, whose text is in the page only then, or a long value of a tool card. */
export function unfold(element: Element | null): void {
  const folded = element?.closest('details:not([open])')
  if (folded instanceof HTMLDetailsElement) folded.open = true
}

interface Piece {
  readonly node: Text
  /** The node's text, after a line break if the node begins a block. */
  readonly text: string
  /** Where the node's own text begins and ends in the whole. */
  readonly start: number
  readonly end: number
}

function piecesOf(root: Element): readonly Piece[] {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
  const pieces: Piece[] = []
  let block: Element | null | undefined
  let at = 0
  for (let node = walker.nextNode(); node instanceof Text; node = walker.nextNode()) {
    const parent = node.parentElement
    if (parent === null || parent.closest(LABELS) !== null) continue
    const own = parent.closest(BLOCKS)
    const gap = block === undefined || own === block ? '' : '\n'
    block = own
    const start = at + gap.length
    at = start + node.data.length
    pieces.push({ node, text: gap + node.data, start, end: at })
  }
  return pieces
}

/** In a browser without the CSS Custom Highlight API nothing is highlighted. */
export function highlight(all: readonly Range[], current: Range | undefined): void {
  if (!('highlights' in CSS)) return
  CSS.highlights.set('found', new Highlight(...all))
  CSS.highlights.set('found-current', new Highlight(...(current === undefined ? [] : [current])))
}

export function clearHighlights(): void {
  if (!('highlights' in CSS)) return
  CSS.highlights.delete('found')
  CSS.highlights.delete('found-current')
}

/** Scrolls a range into the upper part of the box. @returns whether it was there already */
export function scrollToRange(box: Element, range: Range): boolean {
  const place = range.getBoundingClientRect()
  const outer = box.getBoundingClientRect()
  const line = range.startContainer.parentElement?.closest('.scroll-box')
  const inner = line?.getBoundingClientRect()
  if (line && inner && (place.left < inner.left || place.right > inner.right)) {
    line.scrollLeft += place.left - inner.left - inner.width / 3
  }
  const from = box.scrollTop
  if (place.top < outer.top + outer.height / 8 || place.bottom > outer.bottom - outer.height / 8) {
    box.scrollTop += place.top - outer.top - outer.height / 3
  }
  return Math.abs(box.scrollTop - from) < 1
}
