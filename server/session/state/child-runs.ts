// ChildRuns: the runs with which agents that were asked answer, and their places below the runs of messages. Pure.
//
//   tool.called {child} ──► queued ──(a later entry of the parent)──► begun ──► started ──► ended ──► tool.result
//
// A parent's `run.ended` follows the ends of all its children. The log gives this order without a further rule: a child begins only after
// an entry on its parent's subject that follows the call. So an append of the parent's end either knows the child, or conflicts.
import type { ParentCall, RunEnded } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'
import { newRun, type RunRecord } from './run-record.ts'
import type { SessionState } from './session-state.ts'

/** A run that answers the call of another run. */
export type ChildRun = RunRecord & { readonly parent: ParentCall }

export function isChild(run: RunRecord): run is ChildRun {
  return run.parent !== undefined
}

/** Ensures that the child exists, also if only its own entries are known. @param order of the call, or of the first known entry */
export function withChild(
  state: SessionState,
  order: Seq,
  { run: id, parent, agent }: { readonly run: string; readonly parent: ParentCall; readonly agent: string | undefined },
): SessionState {
  if (state.children.some((run) => run.id === id) || state.ended.has(id)) return state
  const child = { ...newRun(id, parent.call, order), parent, agent }
  return { ...state, children: [...state.children, child] }
}

/** Drops children that never began, and whose call turned out to be from a replaced driver. */
export function withoutLateChildren(state: SessionState, parent: RunRecord): SessionState {
  if (state.children.length === 0) return state
  const children = state.children.filter(
    (run) => run.parent?.run !== parent.id || run.epoch > 0 || parent.calls.has(run.parent.call),
  )
  return children.length === state.children.length ? state : { ...state, children }
}

/** The unfinished children of a run. */
export function openChildren(state: SessionState, run: string): readonly RunRecord[] {
  return state.children.length === 0 ? state.children : state.children.filter(({ parent }) => parent?.run === run)
}

/** The unfinished runs below a run, at all levels. */
export function openBelow(state: SessionState, run: string): readonly RunRecord[] {
  return openChildren(state, run).flatMap((child) => [child, ...openBelow(state, child.id)])
}

/** The unfinished runs of a session, with child runs. */
export function unfinishedRuns({ open, children }: SessionState): readonly RunRecord[] {
  return children.length === 0 ? open : [...open, ...children]
}

/** The run of a message for which, directly or not, the run works; itself if it is no child. */
export function topRun(state: SessionState, run: RunRecord): RunRecord {
  const parent = parentOf(state, run)
  return parent === undefined ? run : topRun(state, parent)
}

/** The number of runs above the run: 0 for the run of a message. */
export function levelOf(state: SessionState, run: RunRecord): number {
  const parent = parentOf(state, run)
  return parent === undefined ? 0 : 1 + levelOf(state, parent)
}

/** The runs below a run, at all levels, ended ones included. */
export function runsBelow(state: SessionState, run: string): readonly RunRecord[] {
  const children = [...state.children, ...state.ended.values()].filter(({ parent }) => parent?.run === run)
  return children.flatMap((child) => [child, ...runsBelow(state, child.id)])
}

/** Whether a child may start: its parent continues, and nobody can end the parent any more without knowing the child. */
export function mayStart(state: SessionState, child: ChildRun): boolean {
  const parent = parentOf(state, child)
  if (parent === undefined || parent.phase === 'ended' || parent.last <= child.order) return false
  return parent.calls.get(child.parent.call)?.result === undefined
}

/** The end of a child whose parent ends, or has ended. It names no command: that is the one of the parent's end. */
export function endWithParent(end: Pick<RunEnded, 'reason' | 'by'> | undefined): Pick<RunEnded, 'reason' | 'by'> {
  const isOutside = end?.reason === 'cancelled' || end?.reason === 'superseded'
  return isOutside ? { reason: end.reason, by: end.by ?? 'server' } : { reason: 'cancelled', by: 'server' }
}

/** The end that the log implies for a child: its parent has ended, or nothing waits for its answer. */
export function impliedChildEnd(state: SessionState, child: ChildRun): Pick<RunEnded, 'reason' | 'by'> | undefined {
  const parent = parentOf(state, child)
  if (parent === undefined || parent.phase === 'ended') return endWithParent(parent?.ended)
  const call = parent.calls.get(child.parent.call)
  return call === undefined || call.result !== undefined ? endWithParent(undefined) : undefined
}

function parentOf(state: SessionState, { parent }: RunRecord): RunRecord | undefined {
  if (parent === undefined) return undefined
  const isParent = ({ id }: RunRecord): boolean => id === parent.run
  return state.open.find(isParent) ?? state.children.find(isParent) ?? state.ended.get(parent.run)
}
