// visibleState: what users can see of a session's state, in a form that tests can compare.
import type { OutputPart } from '@parley/protocol'
import { parentAt } from '../state/message-tree.ts'
import { toParts } from '../state/run-output.ts'
import type { SessionState } from '../state/session-state.ts'

/** The part of the state that users can see. */
export function visibleState(state: SessionState): unknown {
  const run = (record: SessionState['open'][number]) => ({
    id: record.id,
    phase: record.phase,
    next: record.next,
    text: textOf(toParts(record.output)),
    extras: extrasOf(toParts(record.output)),
    parts: toParts(record.output).flatMap((part) =>
      part.type === 'tool' ? [part.call] : part.type === 'message' ? [part.message] : [],
    ),
    calls: [...record.calls.values()].map((call) => [call.id, call.result?.output]).sort(),
    parent: record.parent,
    agent: record.agent,
    reason: record.ended?.reason,
    steers: record.steers,
    superseded: record.supersededBy,
    rejected: record.rejected,
  })
  return {
    title: state.title,
    messages: state.messages.map((message, at) => [message.event.id, parentAt(state.messages, at)]),
    open: state.open.map(run),
    children: state.children.map(run).sort((a, b) => (a.id < b.id ? -1 : 1)),
    ended: [...state.ended.values()].map(run).sort((a, b) => (a.id < b.id ? -1 : 1)),
  }
}

/** Merges adjacent parts of one kind, because unseen text is in separate parts. */
function textOf(parts: readonly OutputPart[]): string {
  let text = ''
  let kind = ''
  for (const part of parts) {
    if (part.type !== 'text' && part.type !== 'reasoning') continue
    text += kind === part.type ? part.text : `|${part.type}:${part.text}`
    kind = part.type
  }
  return text
}

function extrasOf(parts: readonly OutputPart[]): unknown {
  const inputs: Record<string, string> = {}
  const extras: unknown[] = []
  for (const part of parts) {
    if (part.type === 'input') inputs[part.call] = `${inputs[part.call] ?? ''}${part.text}`
    else if (part.type === 'source' || part.type === 'file') extras.push(part.url)
    else if (part.type === 'data' && 'data' in part) extras.push([part.id, part.data])
  }
  return { inputs, extras }
}
