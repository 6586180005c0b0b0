// NewestTurns: the part of a long conversation that fits into the model's context window. Pure.
import type { LanguageModelV3Message } from '@ai-sdk/provider'
import { estimateTokens } from './token-estimate.ts'

type Message = LanguageModelV3Message

/** A message and its answer, or a part of a caller's history. */
export interface Turn {
  readonly messages: Message[]
  /** A caller has arranged its messages, so they are not joined with others: a provider's cache knows them so. */
  readonly arranged: boolean
}

export interface WrittenTurn extends Turn {
  /** Media types of the files that became words. */
  readonly files: readonly string[]
  /** Calls with another name, or in words. */
  readonly adapted: number
}

/** The newest turns within the limit, at least the end of the last one. The other system messages get up to half of the limit. */
export function newestTurns(
  turns: readonly WrittenTurn[],
  limit: number,
): { readonly kept: readonly WrittenTurn[]; readonly omitted: number } {
  const all = turns.map((turn) => turn.messages)
  if (estimateTokens(all.flat()) <= limit) return { kept: turns, omitted: 0 }
  const steps = stepsOf(all.pop() ?? [])
  const lost = oldestSystem([...all.flat(), ...steps], limit / 2)
  const earlier = turns.map((turn) => ({ ...turn, messages: turn.messages.filter((message) => !lost.has(message)) }))
  const last = earlier.pop() as WrittenTurn
  const system = earlier.flatMap((turn) => turn.messages.filter(isSystem))
  const room = limit - estimateTokens(system)
  const { messages, omitted } = newestSteps(last.messages, room)
  let tokens = estimateTokens(messages)
  let from = earlier.length
  for (; from > 0 && omitted === 0; from -= 1) {
    tokens += estimateTokens((earlier[from - 1] as WrittenTurn).messages.filter((message) => !isSystem(message)))
    if (tokens > room) break
  }
  const older = earlier.slice(0, from)
  const rules = {
    messages: older.flatMap((turn) => turn.messages.filter(isSystem)),
    arranged: true,
    files: [],
    adapted: 0,
  }
  const lostTurns = older.filter((turn) => !turn.messages.every(isSystem)).length
  return {
    kept: [rules, ...earlier.slice(from), { ...last, messages }],
    omitted: lostTurns + omitted + lost.size,
  }
}

function isSystem({ role }: Message): boolean {
  return role === 'system'
}

/** The system messages beyond the limit. */
function oldestSystem(messages: readonly Message[], limit: number): ReadonlySet<Message> {
  const system = messages.filter(isSystem)
  let from = system.length
  for (let tokens = 0; from > 0; from -= 1) {
    tokens += estimateTokens(system.slice(from - 1, from))
    if (tokens > limit) break
  }
  return new Set(system.slice(0, from))
}

/** The messages after the question. */
function stepsOf(messages: readonly Message[]): readonly Message[] {
  const from = messages.findIndex(({ role }) => role === 'assistant')
  return from < 0 ? [] : messages.slice(from)
}

/**
 * The question, and the newest steps of its answer within the limit, at least the last one. A step is a model call with its results.
 * The system messages of the others stay.
 */
function newestSteps(
  messages: readonly Message[],
  limit: number,
): { readonly messages: Message[]; readonly omitted: number } {
  const steps = stepsOf(messages)
  const question = messages.slice(0, messages.length - steps.length)
  const starts = steps.flatMap(({ role }, at) => (role === 'assistant' ? [at] : []))
  const room = limit - estimateTokens([...question, ...steps.filter(isSystem)])
  let from = starts.length
  for (let tokens = 0; from > 0; from -= 1) {
    tokens += estimateTokens(steps.slice(starts[from - 1], starts[from]).filter((message) => !isSystem(message)))
    if (tokens > room) break
  }
  const omitted = Math.min(from, Math.max(0, starts.length - 1))
  const kept = starts[omitted] ?? 0
  return { messages: [...question, ...steps.slice(0, kept).filter(isSystem), ...steps.slice(kept)], omitted }
}
