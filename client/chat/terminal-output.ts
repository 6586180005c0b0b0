// TerminalOutput: prints a transcript on a terminal. It knows whether a line is incomplete, and pauses while the person
// types, so that answer and input do not mix.
import type { TranscriptOutput } from './transcript-printer.ts'

const DIM = '\u001b[2m'
const BOLD = '\u001b[1m'
const PLAIN = '\u001b[0m'

export class TerminalOutput implements TranscriptOutput {
  readonly #write: (text: string) => void
  readonly #colours: boolean
  #midLine = false
  #paused: string[] | undefined

  constructor(write: (text: string) => void, colours: boolean) {
    this.#write = write
    this.#colours = colours
  }

  answer(text: string): void {
    this.#append(text, text)
  }

  reasoning(text: string): void {
    this.#append(this.#dim(text), text)
  }

  message(author: string, text: string, own: boolean): void {
    // The terminal already shows the person's own input.
    if (own) return
    this.startLine()
    const line = `${author}: ${text}\n`
    this.#append(this.#colours ? `${BOLD}${line}${PLAIN}` : line, line)
  }

  note(text: string): void {
    this.startLine()
    this.#append(this.#dim(`· ${text}\n`), '\n')
  }

  startLine(): void {
    if (this.#midLine) this.#append('\n', '\n')
  }

  /** Erases a line that only has a prompt. */
  erasePrompt(): void {
    this.#write('\r\u001b[K')
  }

  /** Buffers all output until `resume`. */
  pause(): void {
    this.#paused ??= []
  }

  resume(): void {
    const paused = this.#paused ?? []
    this.#paused = undefined
    for (const text of paused) this.#write(text)
  }

  /** @param text the same without colours */
  #append(shown: string, text: string): void {
    if (text === '') return
    this.#midLine = !text.endsWith('\n')
    if (this.#paused === undefined) this.#write(shown)
    else this.#paused.push(shown)
  }

  #dim(text: string): string {
    return this.#colours ? `${DIM}${text}${PLAIN}` : text
  }
}
