// SeamFilter: joins the rest of an answer to its beginning. A model that is asked for the rest repeats some of the end: a word, a line,
// often with other white space. The filter drops what is repeated. Pure, except for its own state.
//
// It compares the start of the rest with every place in the end of the beginning at once. A place that differs is out. A place that
// reaches the end is an overlap; the longest one counts, as soon as no longer one is possible. Until then, the text is buffered.
import type { LanguageModelV3StreamPart } from '@ai-sdk/provider'

/** UTF-16 code units of the end that can be repeated. */
const MAX_REPEATED = 400
/** Shorter overlaps within a word are chance: "hel" and "lo". */
const MIN_WITHIN_WORD = 3
/** White space before one word is a sign of something new: "I said that" and " that was". */
const MIN_AFTER_SPACE = 12
/** Code units of white space after the repeated words. */
const MAX_SPACE = 64

type Part = LanguageModelV3StreamPart
type Controller = TransformStreamDefaultController<Part>

/** Filters the first text of an answer. */
export class SeamParts {
  readonly #filter: SeamFilter
  /** Of the buffered text. */
  #id = ''

  constructor(beginning: string) {
    this.#filter = new SeamFilter(beginning)
  }

  transform(part: Part, controller: Controller): void {
    if (part.type === 'text-delta') {
      this.#id = part.id
      this.#pass(this.#filter.push(part.delta), controller)
      return
    }
    if (!EARLIER.has(part.type)) this.flush(controller)
    controller.enqueue(part)
  }

  flush(controller: Controller): void {
    this.#pass(this.#filter.flush(), controller)
  }

  #pass(delta: string, controller: Controller): void {
    if (delta !== '') controller.enqueue({ type: 'text-delta', id: this.#id, delta })
  }
}

/** Parts before the first text of an answer. */
const EARLIER: ReadonlySet<Part['type']> = new Set([
  'stream-start',
  'response-metadata',
  'reasoning-start',
  'reasoning-delta',
  'reasoning-end',
  'text-start',
  'raw',
])

interface Place {
  /** In the end without white space, the start of the overlap. */
  readonly start: number
  next: number
}

export class SeamFilter {
  /** The end of the beginning, without white space, and for each unit whether a word starts there. */
  readonly #end: string
  readonly #starts: readonly boolean[]
  /** White space after the end. */
  readonly #space: string
  #places: Place[]
  #held = ''
  /** Code units of `#held` that were compared. */
  #seen = 0
  /** Code units of `#held` up to the end of the longest overlap so far. */
  #best: number | undefined
  #isDone = false

  constructor(beginning: string) {
    const tail = beginning.slice(-MAX_REPEATED)
    const starts: boolean[] = []
    let end = ''
    for (let at = 0; at < tail.length; at += 1) {
      const unit = tail.charAt(at)
      if (isSpace(unit)) continue
      end += unit
      starts.push(at === 0 ? tail.length === beginning.length : startsWord(tail.charAt(at - 1), unit))
    }
    this.#end = end
    this.#starts = starts
    this.#space = tail.slice(tail.trimEnd().length)
    this.#places = starts.map((_, start) => ({ start, next: start }))
  }

  /** @returns the text that can be passed on */
  push(delta: string): string {
    if (this.#isDone) return delta
    this.#held += delta
    while (this.#seen < this.#held.length && this.#places.length > 0) {
      const unit = this.#held.charAt(this.#seen)
      this.#seen += 1
      if (!isSpace(unit)) this.#compare(unit)
    }
    return this.#places.length > 0 || this.#awaitsText() ? '' : this.flush()
  }

  /** Whether the white space that follows is not complete. */
  #awaitsText(): boolean {
    const rest = this.#held.slice(this.#best ?? 0)
    return this.#space !== '' && rest.trim() === '' && rest.length <= MAX_SPACE
  }

  /** The answer is complete. @returns the buffered text */
  flush(): string {
    if (this.#isDone) return ''
    this.#isDone = true
    const held = this.#held
    this.#held = ''
    return this.#withoutSpace(held.slice(this.#best ?? 0))
  }

  /** The rest without the white space that the beginning has already. Further white space may be an indentation. */
  #withoutSpace(rest: string): string {
    if (this.#space === '') return rest
    if (rest.startsWith(this.#space)) return rest.slice(this.#space.length)
    return /^\s(?!\s)/.test(rest) ? rest.slice(1) : rest
  }

  #compare(unit: string): void {
    const left: Place[] = []
    for (const place of this.#places) {
      if (this.#end.charAt(place.next) !== unit) continue
      place.next += 1
      if (place.next < this.#end.length) left.push(place)
      // A longer overlap ends later.
      else if (this.#counts(place.start)) this.#best = this.#seen
    }
    this.#places = left
  }

  #counts(start: number): boolean {
    const length = this.#end.length - start
    const repeated = this.#held.slice(0, this.#seen)
    const isOneWord = /^\s+\S*$/.test(repeated)
    if (this.#space === '' && isOneWord && length < MIN_AFTER_SPACE) return false
    return this.#starts[start] === true || length >= MIN_WITHIN_WORD
  }
}

function isSpace(unit: string): boolean {
  return /\s/.test(unit)
}

/** In scripts without spaces, each character is a word. */
function startsWord(before: string, unit: string): boolean {
  return !/[\p{L}\p{N}]/u.test(before) || !/[\p{L}\p{N}]/u.test(unit) || /[\u2e80-\u9fff\uac00-\ud7af]/.test(unit)
}
