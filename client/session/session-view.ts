// SessionView: a client's copy of a session, as immutable data. apply-entry.ts computes the next view from the next
// entry.
//
//   attaching ──► replaying ──► live
//       ▲             │           │  the connection was lost
//       └─ offline ◄──┴───────────┘
import type { Context, ErrorCode, Part, Policy } from '@parley/protocol'
import type { ParleyError } from '../parley-error.ts'
import type { CallView } from './call-view.ts'
import { LayeredMap } from './layered-map.ts'
import type { RunView } from './run-view.ts'

export type SessionStatus = 'attaching' | 'replaying' | 'live' | 'offline'

export interface MessageView {
  readonly id: string
  readonly author: string
  readonly content: readonly Part[]
  /** The concatenated text parts. */
  readonly text: string
  /** Unix milliseconds. */
  readonly time: number
  readonly policy: Policy
  /** The run that answers it, or that it was meant to steer. */
  readonly run: string
  readonly model?: string
  readonly agent?: string
  /** The context that was sent along for its run. */
  readonly context?: Context
  /**
   * The message whose answer it follows. `null`: it starts the conversation. `undefined`: unknown, because the view
   * starts at this message.
   */
  readonly parent: string | null | undefined
}

/** A message of this client that is not in the log yet. */
export interface PendingSend {
  readonly id: string
  readonly content: readonly Part[]
  readonly text: string
  readonly policy: Policy
  /** The agent that it names. */
  readonly agent?: string
  /** Unix milliseconds of the local clock. */
  readonly time: number
  /** As it was sent. */
  readonly parent?: string | null
  /** The server postponed the message. The client retries automatically. */
  readonly delayed?: Delay
}

export interface Delay {
  readonly code: ErrorCode
  /** Unix milliseconds of the local clock. */
  readonly until: number
}

/**
 * One message of the shown conversation with its answer, and the other versions at its position. Immutable: while an
 * answer grows, its turn is replaced, and the others stay the same objects.
 */
export type TurnView = TurnPlace &
  (
    | {
        readonly kind: 'message'
        readonly message: MessageView
        /** The run that answers the message. `undefined`: not known yet, or the message steers an earlier turn's run. */
        readonly run: RunView | undefined
      }
    /** Sent by this client, and not in the log yet. */
    | { readonly kind: 'pending'; readonly message: PendingSend; readonly run: undefined }
  )

/** The position of a turn in the conversation. */
export interface TurnPlace {
  /** The message whose answer it follows; '' if none or unknown. Unique among the turns of a conversation. */
  readonly after: string
  /** Ids of all messages that follow that answer, including this one, oldest first. */
  readonly versions: readonly string[]
}

export interface SessionView {
  readonly id: string
  readonly status: SessionStatus
  /** The position after the last applied entry; undefined before the first. */
  readonly cursor: string | undefined
  readonly title: string | undefined
  /** This client's role in the session, as of the last attach. */
  readonly role: string | undefined
  /** The messages of all branches, in log order. */
  readonly messages: readonly MessageView[]
  /** The shown conversation: the path to the newest message, or through the chosen version. */
  readonly turns: readonly TurnView[]
  /** The message whose branch is shown, unless that is the newest branch. */
  readonly chosen: string | undefined
  /** The view starts in the middle of the log. */
  readonly isPartial: boolean
  readonly runs: LayeredMap<string, RunView>
  readonly calls: LayeredMap<string, CallView>
  /** Ids of unfinished runs, in the order of their turns; then those of child runs. */
  readonly open: readonly string[]
  /** The run that generates now, or is next to. Never a child run. */
  readonly activeRun: string | undefined
  /** Messages of this client that are not in the log yet, in the order of sending. */
  readonly pending: readonly PendingSend[]
  /** Outputs that arrived twice. Always 0 with a correct server. */
  readonly faults: number
  /** Why the session cannot be attached. Only set together with status `offline`. */
  readonly error: ParleyError | undefined
}

/**
 * An empty view, for `applyEntry`.
 * @param cursor where reading starts; default: the beginning of the log
 * @example
 * const view = newSession('trip')
 */
export function newSession(id: string, cursor?: string): SessionView {
  return {
    id,
    status: 'attaching',
    cursor,
    title: undefined,
    role: undefined,
    messages: [],
    turns: [],
    chosen: undefined,
    isPartial: cursor !== undefined,
    runs: LayeredMap.empty<string, RunView>(),
    calls: LayeredMap.empty<string, CallView>(),
    open: [],
    activeRun: undefined,
    pending: [],
    faults: 0,
    error: undefined,
  }
}

/** The concatenated text parts of a message. */
export function textOf(content: readonly Part[]): string {
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('')
}
