// The parts of a run as an AI SDK message shows them, and the calls of child runs that belong to the message. Pure.
import { type CallView, childRuns, type RunPart, type RunView, type SessionView } from '@parley/client'
import type { UIMessageChunk } from 'ai'

export type SolidPart = Exclude<RunPart, { type: 'input' }>
export type TextPart = Extract<RunPart, { type: 'text' | 'reasoning' }>

/** The parts without unfinished arguments, which divide a text only until their call is made. */
export function solidParts({ parts }: RunView): readonly SolidPart[] {
  const solid: SolidPart[] = []
  let isDivided = false
  for (const part of parts) {
    const last = solid.at(-1)
    if (part.type === 'input') isDivided = true
    else if (isDivided && isText(part) && last?.type === part.type) {
      solid[solid.length - 1] = { ...last, text: last.text + part.text }
    } else solid.push(part)
  }
  return solid
}

export function isText(part: RunPart): part is TextPart {
  return part.type === 'text' || part.type === 'reasoning'
}

export function dataChunk({ name, id, data }: Extract<RunPart, { type: 'data' }>): UIMessageChunk {
  return { type: `data-${name}`, ...(id === undefined ? {} : { id }), data }
}

/** `behind`: the part is a beginning of what was shown. */
export function compareParts(shown: SolidPart, part: SolidPart): 'same' | 'behind' | 'other' {
  if (isText(shown) && isText(part) && shown.type === part.type) {
    if (part.text.startsWith(shown.text)) return 'same'
    return shown.text.startsWith(part.text) ? 'behind' : 'other'
  }
  return identity(shown) === identity(part) ? 'same' : 'other'
}

function identity(part: SolidPart): string {
  switch (part.type) {
    case 'tool':
      return `tool ${part.call}`
    case 'message':
      return `message ${part.message}`
    case 'data':
      return `data ${part.name} ${part.id ?? JSON.stringify(part.data)}`
    case 'source':
      return `source ${part.url}`
    case 'file':
      return `file ${part.file ?? part.url}`
    default:
      return part.type
  }
}

/**
 * The calls of child runs in which people or clients take part, in the order of the log. The message of the run shows them, because
 * child runs have no messages.
 */
export function callsBelow(view: SessionView, run: RunView): readonly CallView[] {
  const below = new Set(childRuns(view, run).map(({ id }) => id))
  if (below.size === 0) return []
  return [...view.calls.values()].filter((call) => below.has(call.run) && concernsPeople(call))
}

function concernsPeople({ approval, where, questions }: CallView): boolean {
  return approval || where === 'client' || questions !== undefined
}
