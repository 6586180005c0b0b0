// PromptFit: the prompts of one run's model calls, as the model's provider accepts them. If the provider refuses one all the same, the run
// sends another: shorter if it was too long, and in words for any other reason, unless its sender wants the refusal.
import type { LanguageModelV3FunctionTool, LanguageModelV3Prompt } from '@ai-sdk/provider'
import { LIMITS } from '@parley/protocol'
import type { Model } from '../model/model.ts'
import { promptRules } from '../model/prompt-rules.ts'
import { type Conversation, type PromptLimits, providerPrompt } from '../model/provider-prompt.ts'
import { estimateToolTokens } from '../model/token-estimate.ts'
import type { ModelFailure } from './model-call.ts'
import type { ProviderNotices } from './provider-notices.ts'

/** The estimate of a prompt's tokens is not exact. */
const MARGIN = 0.9

/** One is enough if the provider says how much fits. Otherwise each halves the prompt. */
const MAX_SHRINKS = 5

interface Request {
  readonly conversation: Conversation
  readonly offered: readonly LanguageModelV3FunctionTool[]
  /** The answer's limit, which shares the window. No more than a quarter is kept free for it. */
  readonly outputTokens: number
  /** Nothing is left out because of its length. By default, callers of OpenAI's API get the provider's error instead. */
  readonly whole: boolean
  /** Nothing becomes words because the provider refused it. Callers of OpenAI's API get the refusal: they can change their conversation. */
  readonly asSent: boolean
}

export interface FittingPrompt {
  readonly prompt: LanguageModelV3Prompt
  readonly tools: readonly LanguageModelV3FunctionTool[]
  /** By estimate. */
  readonly tokens: number
}

/**
 * What a session's models accepted at most, so that later runs do not send what would be refused. Not for other sessions: the words of a
 * refusal may quote its prompt.
 */
const learned = new WeakMap<object, Map<Model, number>>()

export class PromptFit {
  readonly #model: Model
  readonly #notices: ProviderNotices
  readonly #session: object
  /** What the provider accepts of prompt and tools, by estimate, if that is less than the model's window. */
  #accepted: number
  #inWords: PromptLimits['inWords'] = 'nothing'
  /** Of the current model call. */
  #shrinks = 0
  #last: (Request & FittingPrompt) | undefined

  /** @param session lives as long as the session is open on this node */
  constructor(model: Model, notices: ProviderNotices, session: object) {
    this.#model = model
    this.#notices = notices
    this.#session = session
    this.#accepted = learned.get(session)?.get(model) ?? Number.POSITIVE_INFINITY
  }

  prepare(request: Request): FittingPrompt {
    const { conversation, offered, outputTokens, whole } = request
    const rules = promptRules(this.#model)
    const named = offered.filter(({ name }) => rules.toolName.test(name))
    const tools = named.slice(0, LIMITS.contextTools)
    const toolTokens = estimateToolTokens(tools)
    const window = this.#model.contextTokens
    const room = Math.min(window - Math.min(outputTokens, window / 4), this.#accepted)
    const limits = { tokens: whole ? Number.POSITIVE_INFINITY : room - toolTokens, inWords: this.#inWords }
    const { prompt, tokens, notices } = providerPrompt(conversation, rules, limits)
    const left = offered.filter((tool) => !named.includes(tool)).map(({ name }) => name)
    const count = named.length - tools.length
    this.#notices.ofPrompt = [
      ...(count === 0 ? [] : [{ code: 'tools_omitted' as const, count }]),
      ...notices,
      ...left.map((tool) => ({ code: 'tool_omitted' as const, tool })),
    ]
    const { asSent } = request
    this.#last = { conversation, offered, outputTokens, whole, asSent, prompt, tools, tokens: tokens + toolTokens }
    return this.#last
  }

  #learn(): void {
    const known = learned.get(this.#session) ?? new Map<Model, number>()
    learned.set(this.#session, known.set(this.#model, this.#accepted))
  }

  /** The provider accepted the last prompt. */
  accepted(): void {
    this.#shrinks = 0
  }

  /** The provider refused the last prompt. @returns whether the next one will differ */
  refused({ code, refusal }: ModelFailure): boolean {
    const last = this.#last
    if (refusal === undefined || last === undefined) return false
    if (refusal.fits < 1 && this.#shrinks < MAX_SHRINKS) {
      this.#shrinks += 1
      this.#accepted = last.tokens * refusal.fits * MARGIN
      // A body that is too large, or an empty answer, says nothing about tokens.
      if (code === 'context_exceeded' && !refusal.inWords) this.#learn()
    }
    const isOther = (): boolean => JSON.stringify(this.prepare(last).prompt) !== JSON.stringify(last.prompt)
    if (!refusal.inWords || last.asSent || this.#inWords === 'all') return isOther()
    // One broken file of an earlier turn does not cost the model the files of this one.
    this.#inWords = this.#inWords === 'nothing' ? 'earlier' : 'all'
    if (isOther()) return true
    this.#inWords = 'all'
    return isOther()
  }
}
