// MarkdownParser: the blocks of one text, which may grow. Short texts are parsed while the page renders, so that they
// appear at once; long texts in a worker, because some take seconds. A cooldown limits both to a share of the time.
import { BackgroundWorker } from '../shared/background-worker.ts'
import { type Cooldown, cooldownAfter, NO_COOLDOWN, remaining } from '../shared/cooldown.ts'
import { share } from '../shared/share.ts'
import { type GrowingMarkdown, growMarkdown, NO_MARKDOWN } from './growing-markdown.ts'
import type { ParseReply, ParseRequest } from './markdown-worker.ts'

/** Characters. The slowest short text that we know takes about 10 ms. */
export const SHORT = 4_000
/** Milliseconds that one task may parse short texts. */
const TASK_MS = 50
/** Long texts whose blocks are kept, so that an answer that scrolls into view again has its height at once. */
const KEPT = 30

const worker = new BackgroundWorker<ParseRequest, ParseReply>(
  () => new Worker(new URL('./markdown-worker.ts', import.meta.url), { type: 'module' }),
)
const kept = new Map<string, GrowingMarkdown>()
let spent = 0
let ids = 0

export class MarkdownParser {
  /** The blocks so far. They may lag behind the text. */
  state: GrowingMarkdown = NO_MARKDOWN
  /** Whether the text cannot be parsed. */
  failed = false
  #cooldown: Cooldown = NO_COOLDOWN
  /** The text's id in the worker, and whether it is being parsed there. */
  #id: number | undefined
  #busy = false

  /** Parses a short text. It returns the same state for the same text, so that React may render twice. */
  parseShort(text: string, ended: boolean): void {
    const known = ended ? kept.get(text) : undefined
    if (known !== undefined && !this.isDone(text, ended)) this.state = share(this.state, known)
    const now = performance.now()
    if (this.isDone(text, ended) || text.length > SHORT || spent > TASK_MS) return
    // The end of an answer is parsed without delay.
    if (!ended && remaining(this.#cooldown, now) > 0) return
    this.close()
    try {
      this.state = share(this.state, growMarkdown(this.state, text, ended))
    } catch {
      this.failed = true
    }
    this.#cooldown = cooldownAfter(now, performance.now())
    if (spent === 0) setTimeout(() => (spent = 0))
    spent += performance.now() - now
  }

  /**
   * Parses, in a later task, what is still missing.
   * @param changed called once if there is something new to render
   * @returns a function that stops the timer
   */
  parseLater(text: string, ended: boolean, changed: () => void): (() => void) | undefined {
    if (this.isDone(text, ended) || this.#busy) return undefined
    const parse = text.length > SHORT ? () => this.#parseLong(text, ended, changed) : changed
    const timer = setTimeout(parse, ended ? 0 : remaining(this.#cooldown, performance.now()))
    return () => clearTimeout(timer)
  }

  /** Whether nothing of the text is still to be parsed. */
  isDone(text: string, ended: boolean): boolean {
    return this.failed || (this.state.text === text && this.state.ended === ended)
  }

  /** Releases the worker's memory of this text. */
  close(): void {
    if (this.#id !== undefined) worker.run({ id: this.#id, text: undefined, ended: true }, () => undefined)
    this.#id = undefined
    this.#busy = false
  }

  #parseLong(text: string, ended: boolean, changed: () => void): void {
    const startedAt = performance.now()
    const before = this.#id === undefined ? NO_MARKDOWN : this.state
    const id = this.#id ?? ids++
    this.#id = id
    this.#busy = true
    worker.run({ id, text, ended }, (reply) => {
      // Closed, or short again, meanwhile.
      if (this.#id !== id) return
      this.#busy = false
      this.#cooldown = cooldownAfter(startedAt, performance.now())
      if (reply === undefined) this.failed = true
      else {
        const complete = [...before.complete.slice(0, reply.kept), ...reply.complete]
        this.state = share(this.state, { text, ended, complete, last: reply.last })
      }
      if (reply !== undefined && ended) keep(this.state)
      changed()
    })
  }
}

function keep(state: GrowingMarkdown): void {
  kept.delete(state.text)
  kept.set(state.text, state)
  const [oldest] = kept.keys()
  if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest)
}
