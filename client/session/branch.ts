// Branch: the shown conversation of a session whose messages form a tree. It is the path to the newest message, pending
// ones included, or the path through the chosen version. Pure.
import { lateSteerRun } from '@parley/protocol/make-id'
import type { RunView } from './run-view.ts'
import type { MessageView, SessionView, TurnView } from './session-view.ts'

type Node = TurnView extends infer T ? (T extends TurnView ? Omit<T, 'versions'> : never) : never

/** The view with `turns` computed from its messages, its pending messages and the choice. */
export function withTurns(view: SessionView): SessionView {
  const nodes = nodesOf(view)
  const newest = nodes.at(-1)?.message.id
  const tip = view.chosen === undefined ? newest : newestOf(nodes, view.chosen)
  // A choice that leads to the newest message ends: the view follows the session again.
  const chosen = tip === newest ? undefined : view.chosen
  return { ...view, chosen, turns: reuseEqual(view.turns, pathTo(nodes, tip)) }
}

/** During a replay, `turns` is recomputed only at every 64th message that does not extend the path. */
const STRIDE = 64

/**
 * As `withTurns`, after one more message of the log. The common case appends one turn without reading the others. After
 * a replay `withTurns` must run once.
 */
export function withNewest(view: SessionView, message: MessageView): SessionView {
  const last = view.turns.at(-1)
  const before = view.messages.at(-2)?.id
  const extendsPath = view.chosen === undefined && view.pending.length === 0 && last?.message.id === before
  if (!extendsPath || message.parent !== (before ?? null)) {
    const isPostponed = view.status === 'replaying' && view.messages.length % STRIDE !== 0
    return isPostponed ? view : withTurns(view)
  }
  const place = { after: before ?? '', versions: [message.id] }
  const turn: TurnView = { kind: 'message', message, run: answerOf(view, message), ...place }
  return { ...view, turns: [...view.turns, turn] }
}

/** The view after one of its runs has changed: only the turn that the run answers is another object. */
export function withAnswer(view: SessionView, run: RunView): SessionView {
  // Nearly always one of the last turns.
  const at = view.turns.findLastIndex(({ kind, message }) => {
    return run.message === undefined ? kind === 'message' && message.run === run.id : message.id === run.message
  })
  const turn = view.turns[at]
  if (turn?.kind !== 'message') return view
  const answer = answerOf(view, turn.message)
  return answer === turn.run ? view : { ...view, turns: view.turns.with(at, { ...turn, run: answer }) }
}

/**
 * The run that answers a message; undefined while there is none, and for a message that steers another message's run.
 * A steering message that arrives too late gets a run of its own.
 * @example
 * for (const message of session.state.messages) console.log(message.text, answerOf(session.state, message)?.text)
 */
export function answerOf(view: Pick<SessionView, 'runs'>, message: MessageView): RunView | undefined {
  const run = view.runs.get(message.run)
  if (run !== undefined && (run.message === message.id || run.message === undefined)) return run
  const late = view.runs.get(lateSteerRun(message.id))
  return late?.message === message.id ? late : undefined
}

/**
 * The `parent` that continues the shown branch; undefined if a message without a parent does. `send` uses it by default.
 * @example
 * const parent = parentOfNext(session.state)
 * await session.send('Continue', parent === undefined ? {} : { parent }).accepted
 */
export function parentOfNext(view: SessionView): string | undefined {
  return view.chosen === undefined ? undefined : view.turns.at(-1)?.message.id
}

function nodesOf(view: SessionView): readonly Node[] {
  const nodes: Node[] = view.messages.map((message) => {
    return { kind: 'message', message, run: answerOf(view, message), after: message.parent ?? '' }
  })
  for (const message of view.pending) {
    const after = message.parent === undefined ? nodes.at(-1)?.message.id : message.parent
    nodes.push({ kind: 'pending', message, run: undefined, after: after ?? '' })
  }
  return nodes
}

/** The newest descendant of a message; for an unknown message, the newest of all. */
function newestOf(nodes: readonly Node[], id: string): string | undefined {
  const below = new Set<string>()
  let newest: string | undefined
  for (const { message, after } of nodes) {
    if (message.id !== id && !below.has(after)) continue
    below.add(message.id)
    newest = message.id
  }
  return newest ?? nodes.at(-1)?.message.id
}

function pathTo(nodes: readonly Node[], tip: string | undefined): readonly TurnView[] {
  const versions = new Map<string, string[]>()
  for (const { message, after } of nodes) {
    const others = versions.get(after)
    if (others === undefined) versions.set(after, [message.id])
    else others.push(message.id)
  }
  const path: TurnView[] = []
  let wanted = tip
  // A parent precedes its children, so one pass from the end finds the whole path.
  for (let at = nodes.length - 1; at >= 0 && wanted !== undefined; at -= 1) {
    const node = nodes[at]
    if (node === undefined || node.message.id !== wanted) continue
    path.push({ ...node, versions: versions.get(node.after) ?? [] })
    wanted = node.after === '' ? undefined : node.after
  }
  return path.reverse()
}

/** The new turns, with old objects wherever they are equal, so that listeners can compare by identity. */
function reuseEqual(old: readonly TurnView[], turns: readonly TurnView[]): readonly TurnView[] {
  const merged = turns.map((turn, at) => {
    const before = old[at]
    return before !== undefined && isSame(before, turn) ? before : turn
  })
  return merged.length === old.length && merged.every((turn, at) => turn === old[at]) ? old : merged
}

function isSame(a: TurnView, b: TurnView): boolean {
  return (
    a.message === b.message &&
    a.run === b.run &&
    a.after === b.after &&
    a.versions.length === b.versions.length &&
    a.versions.every((id, at) => id === b.versions[at])
  )
}
