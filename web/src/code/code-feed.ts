// CodeFeed: a program's text as chunks of lines, coloured as far as the pace allows. The text itself is never behind:
// what is not coloured yet is plain. While it grows, lines that have not ended are plain.
import { AT_ONCE, type Pace, rested, wait } from '../shared/pace.ts'
import { type Chunk, chunksOf } from './highlighted-lines.ts'
import type { Highlighter } from './highlighter.ts'

/** Longer programs are not coloured. */
export const COLOURED_MAX = 150_000

export interface ShownCode {
  readonly chunks: readonly Chunk[]
  /** Milliseconds until more of it may be coloured; undefined when it is as it should be. */
  readonly wait: number | undefined
}

export class CodeFeed {
  readonly #clock: () => number
  #pace: Pace = AT_ONCE
  #coloured = ''
  #lang: string | undefined
  #chunks: readonly Chunk[] = []

  /** @param clock milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock
  }

  /** @param lang undefined where it has no colours @param growing whether more of it will come */
  look(code: string, lang: string | undefined, growing: boolean, highlighter: Highlighter | undefined): ShownCode {
    if (highlighter === undefined || lang === undefined || code.length > COLOURED_MAX) return this.#plain(code)
    const due = growing ? code.slice(0, code.lastIndexOf('\n') + 1) : code
    const isDone = this.#coloured === due && this.#lang === lang
    if (!isDone) {
      const now = this.#clock()
      const rest = wait(this.#pace, now)
      const stillFits = this.#lang === lang && code.startsWith(this.#coloured)
      if (rest > 0 && stillFits && growing) return { chunks: this.#with(code), wait: rest }
      this.#chunks = chunksOf(highlighter.colour(due, lang), this.#chunks)
      this.#coloured = due
      this.#lang = lang
      this.#pace = rested(now, this.#clock())
    }
    return { chunks: this.#with(code), wait: undefined }
  }

  #plain(code: string): ShownCode {
    this.#coloured = ''
    this.#lang = undefined
    this.#chunks = chunksOf([{ text: code, kind: undefined }], this.#chunks)
    return { chunks: this.#chunks, wait: undefined }
  }

  /** What is coloured, and the rest of the text. */
  #with(code: string): readonly Chunk[] {
    const text = code.slice(this.#coloured.length)
    return text === '' ? this.#chunks : [...this.#chunks, { text, runs: [{ text, kind: undefined }] }]
  }
}
