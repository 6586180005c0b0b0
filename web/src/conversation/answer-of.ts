// The run that answers a message, and the tool calls of a run. Pure.
import type { CallView, MessageView, RunView, SessionView } from '@parley/client'

/**
 * The run that answers a message; undefined while there is none, and for a message that steers another message's run.
 * A steering message that arrives too late gets its own run, whose id is derived from the message's id.
 */
export function answerOf(view: Pick<SessionView, 'runs'>, message: MessageView): RunView | undefined {
  const run = view.runs.get(message.run)
  if (run !== undefined && (run.message === message.id || run.message === undefined)) return run
  const late = view.runs.get(`steer_${message.id}`.slice(0, 128))
  return late?.message === message.id ? late : undefined
}

export function callsOf(view: SessionView, run: RunView): readonly CallView[] {
  return run.parts.flatMap((part) => {
    const call = part.type === 'tool' ? view.calls.get(part.call) : undefined
    return call === undefined ? [] : [call]
  })
}
