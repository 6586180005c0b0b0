// openCalls: the tool calls that the client may have to handle.
import type { CallView } from './call-view.ts'
import type { SessionView } from './session-view.ts'

/** The tool calls of unfinished runs, in the order of the output. */
export function openCalls(view: SessionView): readonly CallView[] {
  return view.open.flatMap((id) =>
    (view.runs.get(id)?.parts ?? []).flatMap((part) => (part.type === 'tool' ? (view.calls.get(part.call) ?? []) : [])),
  )
}
