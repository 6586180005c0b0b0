// PromptFit: the prompts of one run's model calls, as the model's provider accepts them. If the provider refuses one all the same, the run
// sends another: shorter if it was too long, and in words for any other reason, unless its sender wants the refusal.
import type { LanguageModelV3FunctionTool, LanguageModelV3Prompt } from '@ai-sdk/provider'
import type { Model } from '../model/model.ts'
import { promptRules } from '../model/prompt-rules.ts'
import { type Conversation, providerPrompt } from '../model/provider-prompt.ts'
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

export class PromptFit {
  readonly #model: Model
  readonly #notices: ProviderNotices
  /** What the provider accepts of prompt and tools, by estimate, if that is less than the model's window. */
  #accepted = Number.POSITIVE_INFINITY
  #inWords = false
  /** Of the current model call. */
  #shrinks = 0
  #last: (Request & FittingPrompt) | undefined

  constructor(model: Model, notices: ProviderNotices) {
    this.#model = model
    this.#notices = notices
  }

  prepare(request: Request): FittingPrompt {
    const { conversation, offered, outputTokens, whole } = request
    const rules = promptRules(this.#model)
    const tools = offered.filter(({ name }) => rules.toolName.test(name))
    const toolTokens = estimateToolTokens(tools)
    const window = this.#model.contextTokens
    const room = Math.min(window - Math.min(outputTokens, window / 4), this.#accepted)
    const limits = { tokens: whole ? Number.POSITIVE_INFINITY : room - toolTokens, plain: this.#inWords }
    const { prompt, tokens, notices } = providerPrompt(conversation, rules, limits)
    const left = offered.filter((tool) => !tools.includes(tool)).map(({ name }) => name)
    this.#notices.ofPrompt = [...notices, ...left.map((tool) => ({ code: 'tool_omitted' as const, tool }))]
    const fitting = { prompt, tools, tokens: tokens + toolTokens }
    this.#last = { ...request, ...fitting }
    return fitting
  }

  /** The provider accepted the last prompt. */
  accepted(): void {
    this.#shrinks = 0
  }

  /** The provider refused the last prompt. @returns whether the next one will differ */
  refused({ refusal }: ModelFailure): boolean {
    const last = this.#last
    if (refusal === undefined || last === undefined) return false
    this.#inWords ||= refusal.inWords && !last.asSent
    if (refusal.fits < 1 && this.#shrinks < MAX_SHRINKS) {
      this.#shrinks += 1
      this.#accepted = last.tokens * refusal.fits * MARGIN
    }
    return JSON.stringify(this.prepare(last).prompt) !== JSON.stringify(last.prompt)
  }
}
