// RunItem: what a run's driver has to append, in order, and what its events repeat about the run.
import type { ParentCall, RelayedRequest, RunEnded, ToolCalled } from '@parley/protocol'
import type { TextKind } from '../session/state/run-output.ts'

/** An output other than text. It may join the one before it: arguments of the same call do, and data with the same id. */
export type Extra =
  | { readonly kind: 'input'; readonly call: string; readonly name?: string; readonly text: string }
  | { readonly kind: 'data'; readonly name: string; readonly id?: string; readonly data: unknown }
  | { readonly kind: 'source'; readonly url: string; readonly title?: string }
  | {
      readonly kind: 'file'
      readonly mediaType: string
      readonly file?: string
      readonly url?: string
      readonly name?: string
    }

export interface CallItem {
  readonly type: 'call'
  readonly call: string
  readonly name: string
  readonly input: unknown
  readonly where: 'client' | 'server'
  readonly approval: boolean
  /** Unix milliseconds. */
  readonly until: number
  readonly marks?: string
  readonly child?: NonNullable<ToolCalled['child']>
  readonly handoff?: string
  /** A remote agent makes the call itself. */
  readonly remote?: true
}

export type RunEnd = Pick<RunEnded, 'reason' | 'error' | 'cut' | 'notices'>

export type Item =
  | { readonly type: 'text'; readonly kind: TextKind; readonly text: string }
  | { readonly type: 'extra'; readonly extra: Extra }
  | CallItem
  /**
   * A snapshot, which takes these steering messages; without any, it only compacts. `begins`: after it, the children of the calls before
   * it may start (see child-runs.ts).
   */
  | { readonly type: 'snapshot'; readonly take: readonly string[]; readonly begins?: true }
  /** The agent hands the run over. */
  | { readonly type: 'handed'; readonly to: string; readonly model: string; readonly reason: string | undefined }
  /** The next request to the model, whose response a relay keeps. */
  | { readonly type: 'requested'; readonly stream: string; readonly model: string }
  | { readonly type: 'end'; readonly end: RunEnd }

/** Constant while this driver drives the run, except that a hand-off changes the agent and its model, and a further call the request. */
export interface AboutRun {
  readonly run: string
  readonly epoch: number
  readonly model: string
  readonly message: string
  /** The node. */
  readonly owner: string
  /** Unix milliseconds of its `run.started`, once that is in the log. */
  readonly startedAt?: number
  /** Only of a child run. */
  readonly parent?: ParentCall
  readonly agent?: string
  /** The current model call, once it is in the log, if a relay keeps its response. */
  readonly request?: RelayedRequest
}
