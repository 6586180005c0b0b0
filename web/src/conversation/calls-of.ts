// The tool calls of a run, and whether one of them waits for a person. Pure.
import { type CallView, childRuns, openQuestion, type RunView, type SessionView } from '@parley/client'

export function callsOf(view: SessionView, run: RunView): readonly CallView[] {
  return run.parts.flatMap((part) => {
    const call = part.type === 'tool' ? view.calls.get(part.call) : undefined
    return call === undefined ? [] : [call]
  })
}

/** What the run, or one of its child runs, asks of a person. */
export function asksPerson(view: SessionView, run: RunView): 'approval' | 'answer' | undefined {
  const calls = [run, ...childRuns(view, run)].flatMap((each) => callsOf(view, each))
  if (calls.some((call) => call.status === 'deciding')) return 'approval'
  return calls.some((call) => openQuestion(call) !== undefined) ? 'answer' : undefined
}
