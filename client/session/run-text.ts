// RunText: a run's text as an append-only stream. After a restart or a replay it compares the new text with the text
// that it has already returned, and throws a RestartedError if they differ.
import { RestartedError } from '../parley-error.ts'
import type { RunView } from './run-view.ts'

export class RunText {
  /** The text returned so far, plus `#pending`. */
  #text: string
  #pending = ''
  /** The gap after the earlier text is not returned either. */
  #isFirst: boolean

  /** @param from the earlier text, which is not returned */
  constructor(from = '') {
    this.#text = from
    this.#isFirst = from !== ''
  }

  /** The text since the last call; empty if there is none. */
  take(): string {
    const text = this.#pending
    this.#pending = ''
    return text
  }

  /** Adds an output; `run` already includes it. @throws RestartedError */
  output(run: RunView, added: string): void {
    const at = run.text.length - added.length
    if (at === this.#text.length) {
      this.#grow(added)
      return
    }
    if (at > this.#text.length) {
      // The text after a call begins with a gap. Only then: slicing the text at each token would copy all of it.
      this.#grow(run.text.slice(this.#text.length))
      return
    }
    const known = this.#text.slice(at, at + added.length)
    if (!added.startsWith(known)) throw new RestartedError(run.id)
    this.#grow(added.slice(known.length))
  }

  /** Handles a replaced or dropped text of the run. @throws RestartedError */
  replaced(run: RunView): void {
    if (run.text.startsWith(this.#text)) this.#grow(run.text.slice(this.#text.length))
    else if (!this.#text.startsWith(run.text)) throw new RestartedError(run.id)
  }

  /** Checks the final text: it must include everything returned before a restart. @throws RestartedError */
  ended(run: RunView): void {
    this.replaced(run)
    if (run.text.length < this.#text.length) throw new RestartedError(run.id)
  }

  #grow(text: string): void {
    if (text === '') return
    this.#text += text
    this.#pending += this.#isFirst ? text.replace(/^\n\n/, '') : text
    this.#isFirst = false
  }
}
