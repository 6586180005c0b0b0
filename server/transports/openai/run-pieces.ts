// RunPieces: the entries of one run, as they come live or as they were folded since, turned into the same pieces in the same
// order: each output once with its index, then the end, with the calls in their order. Calls come last however they stood,
// because of a folded run only that is known in time.
import type { Event, OutputPart, RunEnded } from '@parley/protocol'

export interface RunCall {
  readonly call: string
  readonly name: string
  readonly input: unknown
}

export type Piece =
  | { readonly type: 'begun'; readonly model: string }
  | { readonly type: 'text'; readonly kind: 'text' | 'reasoning'; readonly index: number; readonly text: string }
  /** The owner died, and another began anew: what stands comes again, from the beginning. */
  | { readonly type: 'restarted' }
  | { readonly type: 'ended'; readonly end: RunEnded; readonly calls: readonly RunCall[] }

export class RunPieces {
  readonly #run: string
  readonly #calls = new Map<string, RunCall>()
  #begun = false
  #next = 0
  #ended = false

  constructor(run: string) {
    this.#run = run
  }

  take(event: Event): Piece[] {
    if (this.#ended || !('run' in event) || event.run !== this.#run) return []
    switch (event.type) {
      case 'run.started': {
        const pieces = this.#begin(event.model)
        if (event.mode === 'restart' && this.#next > 0) {
          // What the next owner has kept comes in a snapshot; beyond it, indexes go on from those that were dropped.
          this.#next = 0
          pieces.push({ type: 'restarted' })
        }
        return pieces
      }
      case 'run.output':
        return [...this.#begin(undefined), ...this.#output(event.kind, event.index, event.text)]
      case 'run.snapshot':
        return [...this.#begin(event.model), ...event.output.flatMap((part) => this.#part(part))]
      case 'tool.called':
        if (!this.#calls.has(event.call)) {
          const { call, name, input } = event
          this.#calls.set(call, { call, name, input })
        }
        return this.#begin(undefined)
      case 'run.ended': {
        this.#ended = true
        const pieces = [...this.#begin(event.model), ...(event.output ?? []).flatMap((part) => this.#part(part))]
        pieces.push({ type: 'ended', end: event, calls: [...this.#calls.values()] })
        return pieces
      }
      default:
        return []
    }
  }

  #begin(model: string | undefined): Piece[] {
    if (this.#begun) return []
    this.#begun = true
    return [{ type: 'begun', model: model ?? '' }]
  }

  #output(kind: 'text' | 'reasoning', index: number, text: string): Piece[] {
    if (index < this.#next) return []
    this.#next = index + 1
    return [{ type: 'text', kind, index, text }]
  }

  #part(part: OutputPart): Piece[] {
    if (part.type !== 'text' && part.type !== 'reasoning') return []
    const pieces: Piece[] = []
    let at = 0
    for (const [offset, length] of part.lengths.entries()) {
      pieces.push(...this.#output(part.type, part.index + offset, part.text.slice(at, at + length)))
      at += length
    }
    return pieces
  }
}
