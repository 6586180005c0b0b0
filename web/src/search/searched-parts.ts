// SearchedParts: the texts of a turn that the search looks into, in the order in which the page shows them. Pure.
import type { CallView, TurnView } from '@parley/client'
import { formatText } from '../conversation/call-note.ts'
import { readableText } from '../conversation/readable-tree.ts'
import { type Searched, shownText } from './find-matches.ts'

/** The parts of its message and of its answer: texts, reasoning and tool calls. */
export function searchedParts(turn: TurnView, calls: ReadonlyMap<string, CallView>): readonly Searched[] {
  const parts: Searched[] = []
  for (const part of [...turn.message.content, ...(turn.run?.parts ?? [])]) {
    if (part.type === 'text' || part.type === 'reasoning') {
      parts.push({ key: part, text: () => shownText(part.text) })
    } else if (part.type === 'tool') {
      const call = calls.get(part.call)
      parts.push({
        key: call ?? part,
        text: () => [part.name, ...(call === undefined ? [] : textsOf(call))].join('\n'),
      })
    }
  }
  return parts
}

/** What its card shows. */
function textsOf({ input, status, output, error }: CallView): readonly string[] {
  return [
    readableText(input),
    ...(status === 'completed' ? [readableText(output)] : []),
    ...(error === undefined ? [] : [formatText(error)]),
  ]
}
