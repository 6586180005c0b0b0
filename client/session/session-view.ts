// SessionView: what a client holds of a session, as immutable data. apply-entry.ts makes the next view from the next entry.
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
  /** Its text parts together. */
  readonly text: string
  /** Unix milliseconds. */
  readonly time: number
  readonly policy: Policy
  /** The run that answers it, or that it was to steer. */
  readonly run: string
  readonly model?: string
  readonly agent?: string
  /** What it brought along for its run. */
  readonly context?: Context
  /** The message after whose answer it stands; null: none; undefined: the view begins with it, and does not know. */
  readonly parent: string | null | undefined
}

/** A message of this client that the log has not shown yet. */
export interface PendingSend {
  readonly id: string
  readonly content: readonly Part[]
  readonly text: string
  readonly policy: Policy
  /** Unix milliseconds on this machine. */
  readonly time: number
  /** As it was sent. */
  readonly parent?: string | null
  /** The server refused it for now; it goes out again by itself. */
  readonly delayed?: Delay
}

export interface Delay {
  readonly code: ErrorCode
  /** Unix milliseconds on this machine. */
  readonly until: number
}

/** One message of the conversation that is shown, and the others that stand at its place. */
export type TurnView = TurnPlace &
  (
    | { readonly kind: 'message'; readonly message: MessageView }
    /** Sent by this client; the log has not shown it yet. */
    | { readonly kind: 'pending'; readonly message: PendingSend }
  )

interface TurnPlace {
  /** The message after whose answer it stands; '' for none, and where that is not known. One turn of a conversation for each. */
  readonly after: string
  /** Ids of the messages that stand after that answer, this one's among them, oldest first. */
  readonly versions: readonly string[]
}

export interface SessionView {
  readonly id: string
  readonly status: SessionStatus
  /** After the last entry that is in the view; undefined before the first. */
  readonly cursor: string | undefined
  readonly title: string | undefined
  /** This client's role in the session, once it is attached. */
  readonly role: string | undefined
  /** In the order of the log: of all branches. */
  readonly messages: readonly MessageView[]
  /** The conversation that is shown: the path to the newest message, or through the version that was chosen. */
  readonly turns: readonly TurnView[]
  /** The message whose branch is shown, while that is not the newest one's. */
  readonly chosen: string | undefined
  /** It begins in the middle of the log. */
  readonly isPartial: boolean
  readonly runs: LayeredMap<string, RunView>
  readonly calls: LayeredMap<string, CallView>
  /** Unfinished runs, in the order in which they take their turn. */
  readonly open: readonly string[]
  /** The run that is speaking, or is next to speak. */
  readonly activeRun: string | undefined
  readonly pending: readonly PendingSend[]
  /** Outputs that came although they were held already: 0, unless the server repeats itself. */
  readonly faults: number
  /** Why the session cannot be attached; set together with `offline`. */
  readonly error: ParleyError | undefined
}

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

export function textOf(content: readonly Part[]): string {
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

/** The id of the run that answers a steering message which came too late for the run that it was sent to. */
export function lateSteerRun(message: string): string {
  return `steer_${message}`.slice(0, 128)
}
