// RunProgress: the pieces of a run as messages of progress. Sent text cannot be retracted: after a restart nothing is sent
// until the new text is longer than the old one. A different text follows from its beginning. Pure.
import type { ToolCalled, ToolProgress } from '@parley/protocol'
import type { PieceChange } from '@parley/protocol/run-pieces'

export interface ProgressStep {
  /** More text of the answer; '' for none. */
  readonly text: string
  /** Calls of tools that the client does not know yet. */
  readonly calls: readonly ToolCalled[]
  /** What tools say about their progress, and which agents are asked. */
  readonly notes: readonly string[]
}

const STARTS_OVER = '\n\nThe answer starts over:\n\n'

export class RunProgress {
  readonly #seen: number
  /** Names of tools by their calls. */
  readonly #called = new Map<string, string>()
  #index = 0
  #sent = ''
  /** The text since the last restart while it is not longer than the sent text; else undefined. */
  #repeated: string | undefined

  /** @param seen the index after the last output that the client has from an earlier stream */
  constructor(seen = 0) {
    this.#seen = seen
  }

  /** The index after the last output. */
  get index(): number {
    return this.#index
  }

  /** @param isSeen the client has these changes from an earlier stream */
  take(changes: readonly PieceChange[], isSeen: boolean): ProgressStep {
    let text = ''
    const calls: ToolCalled[] = []
    const notes: string[] = []
    for (const change of changes) {
      if (change.type === 'restarted') this.#repeated = ''
      else if (change.type === 'grew') {
        this.#index = Math.max(this.#index, change.index + 1)
        const more = change.kind === 'text' ? this.#text(change.gap + change.text) : ''
        // The log may have compacted what the client has into a later entry, so the index counts as well.
        if (!isSeen && change.index >= this.#seen) text += more
      } else if (change.type === 'closed' && change.kind === 'input' && change.called !== undefined) {
        const isNew = !this.#called.has(change.call)
        this.#called.set(change.call, change.called.name)
        if (!isNew || isSeen) continue
        if (change.called.child === undefined) calls.push(change.called)
        else notes.push(`Asking ${change.called.child.agent}.`)
      } else if (change.type === 'progress' && !isSeen) {
        notes.push(`${this.#called.get(change.progress.call)}: ${wordsOf(change.progress)}`)
      }
    }
    return { text, calls, notes }
  }

  /** @returns the part that goes beyond the sent text */
  #text(text: string): string {
    if (this.#repeated === undefined) {
      this.#sent += text
      return text
    }
    const repeated = this.#repeated + text
    const sent = this.#sent
    if (sent.startsWith(repeated)) {
      this.#repeated = repeated
      return ''
    }
    this.#repeated = undefined
    this.#sent = repeated
    return repeated.startsWith(sent) ? repeated.slice(sent.length) : STARTS_OVER + repeated
  }
}

function wordsOf({ text, done, total }: ToolProgress): string {
  const count = done === undefined ? undefined : total === undefined ? `${done}` : `${done} of ${total}`
  if (text === undefined) return count ?? ''
  return count === undefined ? text : `${text} (${count})`
}
