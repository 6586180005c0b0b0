// RunPieces: turns the entries of one run, live or compacted, into the same pieces in the same order: each output once
// with its index, then the end with the calls. Calls come last, so the text after one begins with a gap.
import { type Event, type OutputPart, type RunEnded, textGap } from '@parley/protocol'

export interface RunCall {
  readonly call: string
  readonly name: string
  readonly input: unknown
  /** What the model's provider wants back with the call. */
  readonly marks?: string | undefined
}

export type Piece =
  | { readonly type: 'started'; readonly model: string }
  | { readonly type: 'text'; readonly kind: 'text' | 'reasoning'; readonly index: number; readonly text: string }
  /** The driver was lost and another one restarts the run: all remaining output follows again from the beginning. */
  | { readonly type: 'restarted' }
  | { readonly type: 'ended'; readonly end: RunEnded; readonly calls: readonly RunCall[] }

export class RunPieces {
  readonly #run: string
  readonly #calls = new Map<string, RunCall>()
  #started = false
  #next = 0
  #ended = false
  /** The last character of the text so far. */
  #last = ''
  /** A call or a steering message came after it. */
  #isApart = false

  constructor(run: string) {
    this.#run = run
  }

  take(event: Event): Piece[] {
    if (this.#ended || !('run' in event) || event.run !== this.#run) return []
    switch (event.type) {
      case 'run.started': {
        const pieces = this.#start(event.model)
        if (event.mode === 'restart' && this.#next > 0) {
          // Output that the next driver keeps follows in a snapshot. New indexes continue after the dropped ones.
          this.#next = 0
          this.#last = ''
          this.#isApart = false
          pieces.push({ type: 'restarted' })
        }
        return pieces
      }
      case 'run.output':
        return [...this.#start(undefined), ...this.#output(event.kind, event.index, event.text)]
      case 'run.snapshot':
        return [...this.#start(event.model), ...event.output.flatMap((part) => this.#part(part))]
      case 'tool.called':
        if (!this.#calls.has(event.call)) {
          const { call, name, input, marks } = event
          this.#calls.set(call, { call, name, input, marks })
          this.#isApart = true
        }
        return this.#start(undefined)
      case 'run.ended': {
        this.#ended = true
        const pieces = [...this.#start(event.model), ...(event.output ?? []).flatMap((part) => this.#part(part))]
        pieces.push({ type: 'ended', end: event, calls: [...this.#calls.values()] })
        return pieces
      }
      default:
        return []
    }
  }

  #start(model: string | undefined): Piece[] {
    if (this.#started) return []
    this.#started = true
    return [{ type: 'started', model: model ?? '' }]
  }

  #output(kind: 'text' | 'reasoning', index: number, text: string): Piece[] {
    let gap = ''
    if (kind === 'text' && text !== '') {
      if (this.#isApart) gap = textGap(this.#last, text)
      this.#last = text.slice(-1)
      this.#isApart = false
    }
    if (index < this.#next) return []
    this.#next = index + 1
    return [{ type: 'text', kind, index, text: gap + text }]
  }

  #part(part: OutputPart): Piece[] {
    if (part.type !== 'text' && part.type !== 'reasoning') {
      this.#isApart = true
      return []
    }
    const pieces: Piece[] = []
    let at = 0
    for (const [offset, length] of part.lengths.entries()) {
      pieces.push(...this.#output(part.type, part.index + offset, part.text.slice(at, at + length)))
      at += length
    }
    return pieces
  }
}
