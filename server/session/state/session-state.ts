// SessionState: the state of a session, derived from its log, and the queries that the server makes on it. Pure data;
// apply-entry.ts computes the next state from the next entry. Nodes that have applied the same entries have the same
// state, so they agree on the active run, the superseded runs and the claims of tool calls.
import type { MessageEvent, Tool } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import type { CommandRecord } from '../../store/ports/transcript-store.ts'
import type { CallState } from './call-state.ts'
import { type Members, NO_MEMBERS } from './members.ts'
import { isActive, type RunRecord } from './run-record.ts'
import type { ToolDeclarations } from './tool-declarations.ts'

export interface MessageState {
  readonly seq: Seq
  readonly time: number
  readonly event: MessageEvent
}

/** The deletion of a session. */
export interface Tombstone {
  /** The sequence number of `session.deleted`. */
  readonly seq: Seq
  /** Unix milliseconds. */
  readonly time: number
  readonly by: string
  readonly command: string | undefined
  /** Entries were appended after the deletion, and must be purged too. */
  readonly hasLateEntries: boolean
}

export interface SessionState {
  /** The last applied entry. */
  readonly seq: Seq
  readonly title: string | undefined
  readonly tools: ToolDeclarations
  /** Runs whose responses were deleted. */
  readonly deletedResponses: ReadonlySet<string>
  readonly members: Members
  /** The last sequence number on subject `meta`. */
  readonly lastMetaSeq: Seq
  /** In the order of the log. */
  readonly messages: readonly MessageState[]
  /** Unfinished runs of messages; the first is due or running. */
  readonly open: readonly RunRecord[]
  /** Unfinished child runs. Policies and the order of runs do not concern them. */
  readonly children: readonly RunRecord[]
  readonly ended: ReadonlyMap<string, RunRecord>
  /** The effects of recent commands, oldest first. */
  readonly commands: readonly CommandRecord[]
  /** Defined if the session was deleted. */
  readonly deleted: Tombstone | undefined
}

export const EMPTY_SESSION: SessionState = {
  seq: 0,
  title: undefined,
  tools: new Map(),
  deletedResponses: new Set(),
  members: NO_MEMBERS,
  lastMetaSeq: 0,
  messages: [],
  open: [],
  children: [],
  ended: new Map(),
  commands: [],
  deleted: undefined,
}

/**
 * The number of commands in the state. `send` commands stay known longer, because each has its own subject in the log.
 */
export const MAX_COMMANDS = 512

export function findRun(state: SessionState, run: string): RunRecord | undefined {
  const isRun = (record: RunRecord): boolean => record.id === run
  return state.open.find(isRun) ?? state.children.find(isRun) ?? state.ended.get(run)
}

/** The active run: the one that has started or starts next. */
export function activeRun(state: SessionState): RunRecord | undefined {
  return state.open.find(isActive)
}

/** The tool call with this id, and its run. */
export function findCall(state: SessionState, call: string): { run: RunRecord; call: CallState } | undefined {
  for (const runs of [state.open, state.children, state.ended.values()]) {
    for (const run of runs) {
      const found = run.calls.get(call)
      if (found !== undefined) return { run, call: found }
    }
  }
  return undefined
}

/** The effect of an earlier command with this id. */
export function findCommand(state: SessionState, id: string): CommandRecord | undefined {
  return state.commands.findLast((command) => command.id === id)
}

/**
 * The tools that the message of a run brings. Its sender answers their calls in a later message, and no device runs them. A child run
 * has none: they are not for agents that the message's agent asks.
 */
export function toolsOfSender(
  { messages }: Pick<SessionState, 'messages'>,
  { message, parent }: Pick<RunRecord, 'message' | 'parent'>,
): readonly Tool[] | undefined {
  if (parent !== undefined) return undefined
  return messages.findLast(({ event }) => event.id === message)?.event.context?.tools
}
