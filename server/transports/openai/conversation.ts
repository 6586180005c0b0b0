// Conversation: what was said in a session up to the end of one of its runs, as a context for another session: how one goes on
// from an answer that is not the last. Of a long one the newest, as a model would be given it; the system's words stay. Pure.
import { type ContextMessage, LIMITS } from '@parley/protocol'
import type { FoundRun } from '../../session/run-report.ts'
import { pathTo } from '../../session/state/message-tree.ts'
import { toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'

/** UTF-16 code units of JSON: there has to be room for the message beside it. */
const MAX_CHARS = LIMITS.frameBytes / 4
/** As many again may come with the message. */
const MAX_MESSAGES = LIMITS.contextMessages / 2

export function conversationUpTo({ state, view }: FoundRun): ContextMessage[] {
  const runs = new Map([...state.ended.values(), ...state.open].map((run) => [run.message, run]))
  return newest(
    pathTo(state.messages, view.message).flatMap(({ event }) => {
      const { content, context } = event
      const asked: ContextMessage[] = content.length === 0 ? [] : [{ role: 'user', content }]
      const run = runs.get(event.id)
      return [...(context?.history ?? []), ...asked, ...(run === undefined ? [] : answerOf(run))]
    }),
  )
}

function answerOf(run: RunRecord): ContextMessage[] {
  const text = toParts(run.output)
    .map((part) => (part.type === 'text' && part.unseen !== true ? part.text : ''))
    .join('')
  const calls = [...run.calls.values()].map(({ id, name, input }) => ({ call: id, name, input }))
  if (text === '' && calls.length === 0) return []
  return [{ role: 'assistant', ...(text === '' ? {} : { text }), ...(calls.length === 0 ? {} : { calls }) }]
}

/** From a person's message on: a result without its call is nothing. */
function newest(messages: readonly ContextMessage[]): ContextMessage[] {
  let from = messages.length
  let [chars, count] = [0, 0]
  for (let at = messages.length - 1; at >= 0; at -= 1) {
    const message = messages[at]
    chars += JSON.stringify(message).length
    count += 1
    if (chars > MAX_CHARS || count > MAX_MESSAGES) break
    if (message?.role === 'user' || at === 0) from = at
  }
  return messages.filter(({ role }, at) => at >= from || role === 'system')
}
