// PieceChange: what happens to the pieces of a run (../run-pieces.ts), in the order in which a front end shows it. Types only.
import type { RunEnded, ToolCalled, ToolProgress, ToolResult } from '../event.ts'

export type TextKind = 'text' | 'reasoning'

/** It replaces earlier data with the same id, which keeps its place. */
export interface Data {
  readonly type: 'data'
  readonly index: number
  readonly name: string
  readonly id?: string
  readonly data: unknown
}

/** `id` is unique among the pieces of one reader. */
export type PieceChange =
  /** The first change of every run. */
  | { readonly type: 'started' }
  | { readonly type: 'opened'; readonly id: number; readonly kind: TextKind }
  | {
      readonly type: 'opened'
      readonly id: number
      readonly kind: 'input'
      readonly call: string
      readonly name: string
    }
  | { readonly type: 'opened'; readonly id: number; readonly kind: 'output'; readonly call: string }
  /** The call asks another agent. It follows the call's input, and closes before the call's output. */
  | {
      readonly type: 'opened'
      readonly id: number
      readonly kind: 'child'
      readonly call: string
      /** The child run, whose own pieces other readers of it get. */
      readonly run: string
      readonly agent: string
    }
  | {
      readonly type: 'grew'
      readonly id: number
      readonly kind: TextKind
      /** The index of the (first) output. */
      readonly index: number
      readonly text: string
      /** What separates it from the text before, for readers that show all texts as one. */
      readonly gap: '' | '\n\n'
    }
  /** The next piece of the arguments, as the model wrote them. */
  | {
      readonly type: 'grew'
      readonly id: number
      readonly kind: 'input'
      readonly call: string
      readonly index: number
      readonly text: string
    }
  | { readonly type: 'closed'; readonly id: number; readonly kind: TextKind }
  /** Without `called` the run restarted or ended before the reader got the whole call. */
  | {
      readonly type: 'closed'
      readonly id: number
      readonly kind: 'input'
      readonly call: string
      readonly called?: ToolCalled
    }
  | {
      readonly type: 'closed'
      readonly id: number
      readonly kind: 'child'
      readonly call: string
      readonly run: string
      readonly agent: string
    }
  | {
      readonly type: 'closed'
      readonly id: number
      readonly kind: 'output'
      readonly call: string
      readonly result: ToolResult
    }
  | Data
  | { readonly type: 'source'; readonly index: number; readonly url: string; readonly title?: string }
  | {
      readonly type: 'file'
      readonly index: number
      readonly mediaType: string
      readonly file?: string
      readonly url?: string
      readonly name?: string
    }
  /** The outputs from `index` up to `next` add nothing more: later data has replaced theirs. */
  | { readonly type: 'passed'; readonly index: number; readonly next: number }
  /** How far an unfinished call is. */
  | { readonly type: 'progress'; readonly progress: ToolProgress }
  /** The run took a steering message here. */
  | { readonly type: 'steered'; readonly message: string }
  /** Unfinished output was dropped: no earlier piece counts. All remaining output follows again as new pieces. */
  | { readonly type: 'restarted' }
  /** The last change. */
  | { readonly type: 'ended'; readonly end: RunEnded }
