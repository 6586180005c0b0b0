// IncrementalHighlighter: a streaming program as chunks of lines, highlighted as often as the cooldown allows. The text
// is never delayed: text that is not highlighted yet is plain. While the program grows, an incomplete line is plain.
import { type Cooldown, cooldownAfter, NO_COOLDOWN, remaining } from '../shared/cooldown.ts'
import { type Chunk, chunksOf, type Run } from './highlighted-lines.ts'

/** Characters. Longer programs stay plain. */
export const HIGHLIGHT_MAX = 150_000

/** Highlights a program. @param done gets undefined if the language is unknown, or if it takes too long */
export type Highlight = (code: string, lang: string, done: (runs: readonly Run[] | undefined) => void) => void

export class IncrementalHighlighter {
  readonly #clock: () => number
  readonly #highlight: Highlight
  #cooldown: Cooldown = NO_COOLDOWN
  #busy = false
  /** The language that cannot be highlighted. */
  #failed: string | undefined
  #highlighted = ''
  #lang = ''
  #chunks: readonly Chunk[] = []
  /** What follows the highlighted text. */
  #rest: readonly Chunk[] = []

  /** @param clock milliseconds */
  constructor(clock: () => number, highlight: Highlight) {
    this.#clock = clock
    this.#highlight = highlight
  }

  /** The whole text. Unchanged chunks are the same objects as before. */
  chunks(code: string, lang: string): readonly Chunk[] {
    if (this.#highlighted === '' || this.#lang !== lang || !code.startsWith(this.#highlighted)) {
      this.#highlighted = ''
      this.#chunks = chunksOf([{ text: code, kind: undefined }], this.#chunks)
      return this.#chunks
    }
    this.#rest = chunksOf([{ text: code.slice(this.#highlighted.length), kind: undefined }], this.#rest)
    return this.#rest.length === 0 ? this.#chunks : [...this.#chunks, ...this.#rest]
  }

  /**
   * Highlights the rest in a later task.
   * @param growing whether more text may follow @param changed called once if there is something new to render
   * @returns a function that stops the timer
   */
  highlightLater(code: string, lang: string, growing: boolean, changed: () => void): (() => void) | undefined {
    const target = growing ? code.slice(0, code.lastIndexOf('\n') + 1) : code
    const isDone = target === '' || (this.#highlighted === target && this.#lang === lang)
    if (lang === '' || isDone || this.#busy || this.#failed === lang || code.length > HIGHLIGHT_MAX) return undefined
    const highlight = (): void => {
      const startedAt = this.#clock()
      this.#busy = true
      this.#highlight(target, lang, (runs) => {
        this.#busy = false
        this.#cooldown = cooldownAfter(startedAt, this.#clock())
        if (runs === undefined) this.#failed = lang
        else {
          this.#chunks = chunksOf(runs, this.#chunks)
          this.#highlighted = target
          this.#lang = lang
        }
        changed()
      })
    }
    const timer = setTimeout(highlight, growing ? remaining(this.#cooldown, this.#clock()) : 0)
    return () => clearTimeout(timer)
  }
}
