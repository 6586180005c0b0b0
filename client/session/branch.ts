// Branch: the conversation that is shown of a session whose messages form a tree: the path to the newest message, what was
// sent and is not in the log yet included; or, once a version was chosen, the path through that one. Pure.
import type { MessageView, SessionView, TurnView } from './session-view.ts'

type Node = TurnView extends infer T ? (T extends TurnView ? Omit<T, 'versions'> : never) : never

/** The view with its turns as they now are, for its messages, what it sent, and what was chosen in it. */
export function withTurns(view: SessionView): SessionView {
  const nodes = nodesOf(view)
  const newest = nodes.at(-1)?.message.id
  const tip = view.chosen === undefined ? newest : newestOf(nodes, view.chosen)
  // Whoever has chosen the newest branch, or is found in it, follows the session again.
  const chosen = tip === newest ? undefined : view.chosen
  return { ...view, chosen, turns: sameWhere(view.turns, pathTo(nodes, tip)) }
}

/** While a session is replayed, its turns are looked for anew at one of so many messages, where that takes a look at all. */
const STRIDE = 64

/**
 * As `withTurns`, after one more message of the log: in the common case without a look at the others. What a replay leaves
 * behind, `withTurns` does when it is over.
 */
export function withNewest(view: SessionView, message: MessageView): SessionView {
  const last = view.turns.at(-1)
  const before = view.messages.at(-2)?.id
  const goesOn = view.chosen === undefined && view.pending.length === 0 && last?.message.id === before
  if (!goesOn || message.parent !== (before ?? null)) {
    const waits = view.status === 'replaying' && view.messages.length % STRIDE !== 0
    return waits ? view : withTurns(view)
  }
  const turn: TurnView = { kind: 'message', message, after: before ?? '', versions: [message.id] }
  return { ...view, turns: [...view.turns, turn] }
}

/** What a message has to name as its parent, to stand at the end of what is shown; undefined: nothing need be told. */
export function parentOfNext(view: SessionView): string | undefined {
  return view.chosen === undefined ? undefined : view.turns.at(-1)?.message.id
}

function nodesOf(view: SessionView): readonly Node[] {
  const nodes: Node[] = view.messages.map((message) => ({ kind: 'message', message, after: message.parent ?? '' }))
  for (const message of view.pending) {
    const after = message.parent === undefined ? nodes.at(-1)?.message.id : message.parent
    nodes.push({ kind: 'pending', message, after: after ?? '' })
  }
  return nodes
}

/** The newest of what goes on from a message; of one that is not there, the newest of all. */
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
  // A parent stands before it, so one look from the end to the beginning finds all of them.
  for (let at = nodes.length - 1; at >= 0 && wanted !== undefined; at -= 1) {
    const node = nodes[at]
    if (node === undefined || node.message.id !== wanted) continue
    path.push({ ...node, versions: versions.get(node.after) ?? [] })
    wanted = node.after === '' ? undefined : node.after
  }
  return path.reverse()
}

/** Turns that say what the old ones at their places said are those. */
function sameWhere(old: readonly TurnView[], turns: readonly TurnView[]): readonly TurnView[] {
  const merged = turns.map((turn, at) => {
    const before = old[at]
    return before !== undefined && isSame(before, turn) ? before : turn
  })
  return merged.length === old.length && merged.every((turn, at) => turn === old[at]) ? old : merged
}

function isSame(a: TurnView, b: TurnView): boolean {
  return (
    a.message === b.message &&
    a.after === b.after &&
    a.versions.length === b.versions.length &&
    a.versions.every((id, at) => id === b.versions[at])
  )
}
