// SearchedParts: the texts of a turn that the search looks into, in the order in which the page shows them. Pure.
import type { CallView, RunPart, SessionView, TurnView } from '@parley/client'
import { askedMessage, formatText } from '../conversation/call-note.ts'
import { readableText } from '../conversation/readable-tree.ts'
import { type Searched, shownText } from './find-matches.ts'

type Known = Pick<SessionView, 'calls' | 'runs'>

/** The parts of its message and of its answer: texts, reasoning and tool calls. */
export function searchedParts(turn: TurnView, view: Known): readonly Searched[] {
  const parts: Searched[] = []
  for (const part of [...turn.message.content, ...(turn.run?.parts ?? [])]) {
    if (part.type === 'text' || part.type === 'reasoning') {
      parts.push({ key: part, text: () => shownText(part.text) })
    } else if (part.type === 'tool') {
      const call = view.calls.get(part.call)
      const key = (call?.child && view.runs.get(call.child.run)) ?? call ?? part
      parts.push({ key, text: () => callTexts(part, view).join('\n') })
    }
  }
  return parts
}

/** What the card of a call shows; of a call that asks another agent, the agent and its texts and calls. */
function callTexts({ call: id, name }: Extract<RunPart, { type: 'tool' }>, view: Known): readonly string[] {
  const call = view.calls.get(id)
  const run = call?.child && view.runs.get(call.child.run)
  if (call?.child === undefined || run === undefined) return [name, ...(call === undefined ? [] : textsOf(call))]
  const texts = run.parts.flatMap((part) => {
    if (part.type === 'text') return [shownText(part.text)]
    return part.type === 'tool' ? callTexts(part, view) : []
  })
  return [call.child.agent, askedMessage(call), ...texts]
}

function textsOf({ input, status, output, error }: CallView): readonly string[] {
  return [
    readableText(input),
    ...(status === 'completed' ? [readableText(output)] : []),
    ...(error === undefined ? [] : [formatText(error)]),
  ]
}
