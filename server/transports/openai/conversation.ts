// Conversation: the messages of a session up to the end of one of its runs, as the context of a new session. It is
// used to continue from an answer that is not the last. A long one keeps its newest messages and all system messages.
// Pure.
import { type ContextMessage, LIMITS } from '@parley/protocol'
import { type FoundRun, textOf } from '../../session/run-report.ts'
import { pathTo } from '../../session/state/message-tree.ts'
import { toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { HttpError } from '../http/http-error.ts'

/** Limit in UTF-16 code units of JSON. */
export const CONVERSATION_CHARS = 16 * 1024 * 1024
/** The request may add as many again. */
const MAX_MESSAGES = LIMITS.contextMessages / 2

/** A run with its conversation, as much of it as was loaded. */
export interface FoundConversation extends FoundRun {
  /** Whether a part of the conversation is missing. */
  readonly isCut: boolean
}

/** @param isWhole whether the conversation must be complete @throws HttpError bad_request if it is too long for that */
export function conversationUpTo({ state, record, isCut }: FoundConversation, isWhole = false): ContextMessage[] {
  const runs = new Map([...state.ended.values(), ...state.open].map((run) => [run.message, run]))
  const all = pathTo(state.messages, record.message).flatMap(({ event }) => {
    const { content, context } = event
    const question: ContextMessage[] = content.length === 0 ? [] : [{ role: 'user', content }]
    const run = runs.get(event.id)
    return [...(context?.history ?? []), ...question, ...(run === undefined ? [] : answerOf(run))]
  })
  const kept = newest(all)
  if (!isWhole || (kept.length === all.length && !isCut)) return kept
  throw new HttpError('bad_request', 'The conversation is too long to be continued without truncation.', {
    path: 'truncation',
  })
}

function answerOf(run: RunRecord): ContextMessage[] {
  const text = textOf(toParts(run.output))
  const calls = [...run.calls.values()].map(({ id, name, input, marks }) => ({
    call: id,
    name,
    input,
    ...(marks === undefined ? {} : { marks }),
  }))
  if (text === '' && calls.length === 0) return []
  return [{ role: 'assistant', ...(text === '' ? {} : { text }), ...(calls.length === 0 ? {} : { calls }) }]
}

/** Starts at a user message, because a tool result without its call is invalid. */
function newest(messages: readonly ContextMessage[]): ContextMessage[] {
  let from = messages.length
  let [chars, count] = [0, 0]
  for (let at = messages.length - 1; at >= 0; at -= 1) {
    const message = messages[at]
    chars += JSON.stringify(message).length
    count += 1
    if (chars > CONVERSATION_CHARS || count > MAX_MESSAGES) break
    if (message?.role === 'user' || at === 0) from = at
  }
  return messages.filter(({ role }, at) => at >= from || role === 'system')
}
