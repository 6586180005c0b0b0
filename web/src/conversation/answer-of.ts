// Which run answers which message. Pure.
import type { MessageView, RunView, SessionView } from '@parley/client'

/**
 * The run that answers a message; undefined while there is none, and for a message that steers another one's run.
 * A steering message that came too late has a run of its own, under an id that is made of the message's.
 */
export function answerOf(view: Pick<SessionView, 'runs'>, message: MessageView): RunView | undefined {
  const run = view.runs.get(message.run)
  if (run !== undefined && (run.message === message.id || run.message === undefined)) return run
  const late = view.runs.get(`steer_${message.id}`.slice(0, 128))
  return late?.message === message.id ? late : undefined
}
