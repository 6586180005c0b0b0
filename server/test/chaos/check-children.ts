// Checks of child runs in a log: each call has one child, and nothing of a child follows the end of its parent. Pure.
import type { ParentCall } from '@parley/protocol'
import type { LogEntries } from './history.ts'

export function brokenChildren(log: LogEntries): string[] {
  const parents = new Map<string, ParentCall>()
  const children = new Map<string, string>()
  const ended = new Set<string>()
  const found: string[] = []
  const note = (run: string, parent: ParentCall, seq: number): void => {
    parents.set(run, parent)
    const other = children.get(parent.call) ?? run
    if (other !== run) found.push(`${run} at ${seq} answers ${parent.call}, as ${other} does`)
    children.set(parent.call, other)
  }
  for (const { seq, event } of log) {
    if (event.type === 'tool.called' && event.child !== undefined) {
      // A call of a replaced driver begins no child.
      if (!ended.has(event.run)) note(event.child.run, { run: event.run, call: event.call }, seq)
    } else if (event.type === 'run.started' || event.type === 'run.output' || event.type === 'run.snapshot') {
      if ('parent' in event && event.parent !== undefined) note(event.run, event.parent, seq)
      const parent = parents.get(event.run)?.run
      if (parent !== undefined && ended.has(parent))
        found.push(`${event.type} of ${event.run} at ${seq}, after the end of ${parent}`)
    } else if (event.type === 'run.ended') ended.add(event.run)
  }
  return found
}
