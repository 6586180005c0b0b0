// RunText: a run's text as a stream that only ever grows. Outputs are passed on as they come; after a restart or
// a replay what was given already is matched against what comes, and anything else is a RestartedError.
import { RestartedError } from '../parley-error.ts'
import type { RunView } from './run-view.ts'

export class RunText {
  /** All that was given, and what waits in `#pending`. */
  #text: string
  #pending = ''

  /** @param from how much of the text was there before, and is not to be given */
  constructor(from = '') {
    this.#text = from
  }

  /** What has come since it was last taken; empty when nothing has. */
  take(): string {
    const text = this.#pending
    this.#pending = ''
    return text
  }

  /** One more output: `run` is the run with it. @throws RestartedError */
  output(run: RunView, added: string): void {
    const at = run.text.length - added.length
    if (at === this.#text.length) {
      this.#grow(added)
      return
    }
    const known = this.#text.slice(at, at + added.length)
    if (!added.startsWith(known)) throw new RestartedError(run.id)
    this.#grow(added.slice(known.length))
  }

  /** The run's text was replaced, or dropped. @throws RestartedError */
  replaced(run: RunView): void {
    if (run.text.startsWith(this.#text)) this.#grow(run.text.slice(this.#text.length))
    else if (!this.#text.startsWith(run.text)) throw new RestartedError(run.id)
  }

  /** The run has ended: nothing more will make good what a restart dropped. @throws RestartedError */
  ended(run: RunView): void {
    this.replaced(run)
    if (run.text.length < this.#text.length) throw new RestartedError(run.id)
  }

  #grow(text: string): void {
    if (text === '') return
    this.#text += text
    this.#pending += text
  }
}
