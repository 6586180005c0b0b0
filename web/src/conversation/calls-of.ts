// The tool calls of a run. Pure.
import type { CallView, RunView, SessionView } from '@parley/client'

export function callsOf(view: SessionView, run: RunView): readonly CallView[] {
  return run.parts.flatMap((part) => {
    const call = part.type === 'tool' ? view.calls.get(part.call) : undefined
    return call === undefined ? [] : [call]
  })
}
