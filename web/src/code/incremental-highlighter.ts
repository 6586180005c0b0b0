// IncrementalHighlighter: a streaming program as chunks of lines, highlighted as often as the cooldown allows. The text
// is never delayed: text that is not highlighted yet is plain. While the program grows, an incomplete line is plain.
import { type Cooldown, cooldownAfter, NO_COOLDOWN, remaining } from '../shared/cooldown.ts'
import { type Chunk, chunksOf } from './highlighted-lines.ts'
import type { Highlighter } from './highlighter.ts'

/** Characters. Longer programs stay plain. */
export const HIGHLIGHT_MAX = 150_000

export interface HighlightedCode {
  readonly chunks: readonly Chunk[]
  /** Milliseconds until more can be highlighted; undefined if nothing is left to do. */
  readonly wait: number | undefined
}

export class IncrementalHighlighter {
  readonly #clock: () => number
  #cooldown: Cooldown = NO_COOLDOWN
  #highlighted = ''
  #lang: string | undefined
  #chunks: readonly Chunk[] = []

  /** @param clock milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  /** @param lang undefined for an unknown language @param growing whether more text may follow */
  update(
    code: string,
    lang: string | undefined,
    growing: boolean,
    highlighter: Highlighter | undefined,
  ): HighlightedCode {
    if (highlighter === undefined || lang === undefined || code.length > HIGHLIGHT_MAX) return this.#plain(code)
    const target = growing ? code.slice(0, code.lastIndexOf('\n') + 1) : code
    const isDone = this.#highlighted === target && this.#lang === lang
    if (!isDone) {
      const now = this.#clock()
      const wait = remaining(this.#cooldown, now)
      const isContinued = this.#lang === lang && code.startsWith(this.#highlighted)
      if (wait > 0 && isContinued && growing) return { chunks: this.#withRest(code), wait }
      this.#chunks = chunksOf(highlighter.highlight(target, lang), this.#chunks)
      this.#highlighted = target
      this.#lang = lang
      this.#cooldown = cooldownAfter(now, this.#clock())
    }
    return { chunks: this.#withRest(code), wait: undefined }
  }

  #plain(code: string): HighlightedCode {
    this.#highlighted = ''
    this.#lang = undefined
    this.#chunks = chunksOf([{ text: code, kind: undefined }], this.#chunks)
    return { chunks: this.#chunks, wait: undefined }
  }

  /** The highlighted chunks, and the rest of the text as a plain chunk. */
  #withRest(code: string): readonly Chunk[] {
    const text = code.slice(this.#highlighted.length)
    return text === '' ? this.#chunks : [...this.#chunks, { text, runs: [{ text, kind: undefined }] }]
  }
}
