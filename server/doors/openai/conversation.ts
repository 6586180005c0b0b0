// Conversation: what was said in a session up to the end of one of its runs, as a context for another session: how one goes on
// from an answer that is not the last. Pure.
import type { ContextMessage } from '@parley/protocol'
import { toParts } from '../../session/run-output.ts'
import type { FoundRun } from '../../session/run-report.ts'
import type { RunView } from '../../session/session-state.ts'

export function conversationUpTo({ state, view }: FoundRun): ContextMessage[] {
  const runs = new Map([...state.ended.values(), ...state.open].map((run) => [run.message, run]))
  return state.messages
    .filter(({ seq }) => seq <= view.order)
    .flatMap(({ event }) => {
      const { content, context } = event
      const asked: ContextMessage[] = content.length === 0 ? [] : [{ role: 'user', content }]
      const run = runs.get(event.id)
      return [...(context?.history ?? []), ...asked, ...(run === undefined ? [] : answerOf(run))]
    })
}

function answerOf(run: RunView): ContextMessage[] {
  const text = toParts(run.output)
    .map((part) => (part.type === 'text' && part.unseen !== true ? part.text : ''))
    .join('')
  const calls = [...run.calls.values()].map(({ id, name, input }) => ({ call: id, name, input }))
  if (text === '' && calls.length === 0) return []
  return [{ role: 'assistant', ...(text === '' ? {} : { text }), ...(calls.length === 0 ? {} : { calls }) }]
}
