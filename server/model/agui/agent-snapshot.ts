// AgentSnapshot: what a remote agent's list of messages adds to its events. The list repeats the conversation; agents whose models do not
// stream have answers, calls and results only there, and LangGraph gives results their lasting ids only there. Pure.
import { z } from 'zod'
import type { SnapshotMessage } from './agent-event.ts'

export type SnapshotItem =
  | { readonly type: 'text'; readonly id: string; readonly text: string }
  | {
      readonly type: 'call'
      readonly id: string
      readonly name: string
      readonly input: string
      readonly message: string
    }
  | { readonly type: 'result'; readonly id: string; readonly call: string; readonly text: string }

const Id = z.string().min(1).max(512)
const Calls = z.array(z.looseObject({ id: Id, function: z.looseObject({ name: z.string(), arguments: z.string() }) }))

/**
 * @param messages of the agent's last list
 * @param sent the ids of the messages and calls in the request
 * @returns what follows the last message of a person, and was not in the request
 */
export function newItems(messages: readonly SnapshotMessage[], sent: ReadonlySet<string>): readonly SnapshotItem[] {
  const after = messages.findLastIndex(({ role }) => role === 'user')
  return messages
    .slice(after + 1)
    .filter(({ id }) => !sent.has(id))
    .flatMap(itemsOf)
    .filter((item) => item.type !== 'call' || !sent.has(item.id))
}

function itemsOf({ id, role, content, toolCalls, toolCallId }: SnapshotMessage): SnapshotItem[] {
  const text = typeof content === 'string' ? content : ''
  if (role === 'tool') {
    const call = Id.safeParse(toolCallId)
    return call.success ? [{ type: 'result', id, call: call.data, text }] : []
  }
  if (role !== 'assistant') return []
  const calls = Calls.safeParse(toolCalls ?? [])
  return [
    ...(text === '' ? [] : [{ type: 'text', id, text } as const]),
    ...(calls.data ?? []).map(
      ({ id: call, function: { name, arguments: input } }) =>
        ({ type: 'call', id: call, name, input, message: id }) as const,
    ),
  ]
}
