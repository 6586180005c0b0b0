// MarkdownWorker: the worker that parses long texts. It remembers the state of each growing text, and replies with the
// blocks that the page does not have.
import { serve } from '../shared/background-worker.ts'
import { type Block, type GrowingMarkdown, growMarkdown, NO_MARKDOWN } from './growing-markdown.ts'

export interface ParseRequest {
  /** Identifies the growing text. */
  readonly id: number
  /** The whole text; undefined: the page needs no more of it. */
  readonly text: string | undefined
  readonly ended: boolean
}

export interface ParseReply {
  /** How many of the previous reply's complete blocks are still the same. `complete` contains those that follow. */
  readonly kept: number
  readonly complete: readonly Block[]
  readonly last: Block | undefined
}

const states = new Map<number, GrowingMarkdown>()

serve(({ id, text, ended }: ParseRequest): ParseReply => {
  const before = states.get(id) ?? NO_MARKDOWN
  states.delete(id)
  if (text === undefined) return { kept: 0, complete: [], last: undefined }
  const state = growMarkdown(before, text, ended)
  if (!ended) states.set(id, state)
  const differs = state.complete.findIndex((block, at) => block !== before.complete[at])
  const kept = differs < 0 ? state.complete.length : differs
  return { kept, complete: state.complete.slice(kept), last: state.last }
})
