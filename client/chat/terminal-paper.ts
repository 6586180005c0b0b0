// TerminalPaper: a chat on a terminal. Knows whether the cursor stands at the beginning of a line, and holds the
// answer back while the person types, so that neither writes into the other's line.
import type { Paper } from './transcript-printer.ts'

const DIM = '\u001b[2m'
const BOLD = '\u001b[1m'
const PLAIN = '\u001b[0m'

export class TerminalPaper implements Paper {
  readonly #write: (text: string) => void
  readonly #colours: boolean
  #midLine = false
  #held: string[] | undefined

  constructor(write: (text: string) => void, colours: boolean) {
    this.#write = write
    this.#colours = colours
  }

  answer(text: string): void {
    this.#put(text, text)
  }

  reasoning(text: string): void {
    this.#put(this.#dim(text), text)
  }

  message(author: string, text: string, own: boolean): void {
    // What was typed here stands there already.
    if (own) return
    this.#startLine()
    const line = `${author}: ${text}\n`
    this.#put(this.#colours ? `${BOLD}${line}${PLAIN}` : line, line)
  }

  note(text: string): void {
    this.#startLine()
    this.#put(this.#dim(`· ${text}\n`), '\n')
  }

  end(): void {
    this.#startLine()
  }

  /** Ends the line that is being written, if there is one. */
  startLine(): void {
    this.#startLine()
  }

  /** Takes away a line that only holds a prompt. */
  erasePrompt(): void {
    this.#write('\r\u001b[K')
  }

  /** The person types: what comes is kept until `release`. */
  hold(): void {
    this.#held ??= []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const text of held) this.#write(text)
  }

  #startLine(): void {
    if (this.#midLine) this.#put('\n', '\n')
  }

  /** @param text what it looks like without its colours */
  #put(shown: string, text: string): void {
    if (text === '') return
    this.#midLine = !text.endsWith('\n')
    if (this.#held === undefined) this.#write(shown)
    else this.#held.push(shown)
  }

  #dim(text: string): string {
    return this.#colours ? `${DIM}${text}${PLAIN}` : text
  }
}
