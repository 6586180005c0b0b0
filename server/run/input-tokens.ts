// inputTokens: about how many tokens a model would get for a message that carries its whole conversation. It builds the prompt as a run
// would, so that both estimates agree. Pure.
import type { Context, MessageEvent, Part } from '@parley/protocol'
import type { Model } from '../model/model.ts'
import { promptRules } from '../model/prompt-rules.ts'
import { providerPrompt } from '../model/provider-prompt.ts'
import { estimateToolTokens } from '../model/token-estimate.ts'
import { applyEntry } from '../session/state/apply-entry.ts'
import { EMPTY_SESSION } from '../session/state/session-state.ts'
import { conversationOf } from './conversation.ts'
import { asFunction } from './run-tools.ts'

const ALL = { tokens: Number.POSITIVE_INFINITY, inWords: 'nothing' } as const

/** @param system the system prompt of runs whose agent has none */
export function inputTokens(model: Model, content: Part[], context: Context, system?: string): number {
  const event: MessageEvent = {
    ...{ type: 'message', id: 'counted', role: 'user', author: '', content, policy: 'queue', run: 'counted' },
    ...{ context, door: 'openai' },
  }
  const state = applyEntry(EMPTY_SESSION, { seq: 1, time: 0, event })
  const [run] = state.open
  if (run === undefined) return 0
  const conversation = conversationOf(state, run, { system, keepReasoning: false, model: model.id })
  const tools = estimateToolTokens((context.tools ?? []).map(asFunction))
  return providerPrompt(conversation, promptRules(model), ALL).tokens + tools
}
