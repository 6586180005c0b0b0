// ModelStep: the model calls of a run. For each step it prepares a prompt that fits, keeps the limits and the budget, and repeats a call
// that failed before its first token.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LanguageModelV3FunctionTool, SharedV3Warning } from '@ai-sdk/provider'
import type { MessageEvent } from '@parley/protocol'
import type { Logger } from 'pino'
import type { RunMetrics } from '../metric/run-metrics.ts'
import { CONTINUES } from '../model/continuation.ts'
import type { Model } from '../model/model.ts'
import { unsupportedOptions } from '../model/provider-options.ts'
import type { Conversation } from '../model/provider-prompt.ts'
import { afterPass } from '../store/large-value.ts'
import { isWhole } from './conversation.ts'
import { instrumented } from './instrumented-call.ts'
import type { ModelFinish } from './model-answer.ts'
import { callModel, ModelFailure, type ModelSink } from './model-call.ts'
import { type FittingPrompt, PromptFit } from './prompt-fit.ts'
import { ProviderNotices } from './provider-notices.ts'
import type { RelayedCalls } from './relayed/relayed-calls.ts'
import type { RunAppender } from './run-appender.ts'
import { type OpenBudget, type RunBudgets, RunUse } from './run-budget.ts'
import type { RunLimits } from './run-limits.ts'
import * as Run from './run-state.ts'
import type { RunTrace } from './run-trace.ts'
import { sampled } from './sampling.ts'

/** About. */
const CHARS_PER_TOKEN = 4

export interface ModelStepOptions {
  readonly appender: RunAppender
  readonly sink: ModelSink
  /** Aborted with a `ModelFailure` if the run exceeds a limit during a call. */
  readonly stop: AbortController
  /** The message with the settings of the calls; undefined for a child run. */
  readonly message: () => MessageEvent | undefined
  readonly budgets: RunBudgets | undefined
  readonly logger: Logger
  readonly metrics: RunMetrics | undefined
  readonly trace: RunTrace | undefined
  /** Undefined: no relay is configured. */
  readonly relayed: RelayedCalls | undefined
  /** Lives as long as the session is open on this node. */
  readonly session: object
}

export class ModelStep {
  readonly notices = new ProviderNotices()
  /** The delta count that ends the run, and the limit that it then exceeds. */
  maxDeltas = 0
  #limit: 'token_limit' | 'budget_exceeded' = 'token_limit'
  readonly #options: ModelStepOptions
  #model: Model
  #limits: RunLimits
  #fit: PromptFit
  #budget: OpenBudget | undefined
  readonly #use = new RunUse()

  constructor(options: ModelStepOptions, model: Model, limits: RunLimits) {
    this.#options = options
    this.#model = model
    this.#limits = limits
    this.#fit = new PromptFit(model, this.notices, options.session)
  }

  /** The next calls are for another agent. */
  use(model: Model, limits: RunLimits): void {
    this.#model = model
    this.#limits = limits
    this.#fit = new PromptFit(model, this.notices, this.#options.session)
  }

  async openBudget(payer: Parameters<RunBudgets['open']>[0]): Promise<void> {
    const { budgets, appender, stop } = this.#options
    this.#budget = await budgets?.open(payer, {
      used: () => this.#use.used(appender.state.deltas),
      exhausted: () => stop.abort(new ModelFailure('budget_exceeded')),
    })
  }

  closeBudget(): void {
    this.#use.broke(this.#options.appender.state.deltas)
    this.#budget?.close()
  }

  /** The run has received more deltas than it may. */
  exceeded(): void {
    this.#options.stop.abort(new ModelFailure(this.#limit))
  }

  warned(warnings: readonly SharedV3Warning[]): void {
    this.notices.add(warnings, this.#options.message()?.context?.sampling)
  }

  /** Notes the settings of the message that the model does not support. */
  warnOfSettings(): void {
    const asked = this.#options.message()?.context?.sampling ?? {}
    this.warned(unsupportedOptions(this.#model.id, asked).map((feature) => ({ type: 'unsupported', feature })))
  }

  /**
   * @param sink instead of the driver, for an answer that is read again
   * @throws ModelFailure, AnswerLost; the reason of the stop signal
   */
  async call(
    conversation: Conversation,
    offered: readonly LanguageModelV3FunctionTool[],
    sink: ModelSink = this.#options.sink,
  ): Promise<ModelFinish> {
    const { appender, logger, metrics, trace, stop, relayed } = this.#options
    const { signal } = stop
    const model = this.#model
    const limits = this.#limits
    const { run } = appender.state.about
    if (appender.state.step >= limits.steps) throw new ModelFailure('step_limit')
    const message = this.#options.message()
    const asked = { whole: isWhole(message), asSent: message?.door === 'openai' }
    for (let attempt = 1, failures = 0; ; attempt += 1) {
      const { deltas } = appender.state
      try {
        const outputTokens = this.#maxOutputTokens()
        const { prompt, tools, tokens } = this.#fit.prepare({ conversation, offered, outputTokens, ...asked })
        await afterPass(tokens * CHARS_PER_TOKEN)
        const options = {
          prompt,
          ...sampled(model.id, message?.context?.sampling, tools),
          maxOutputTokens: this.#withinBudget(outputTokens, prompt),
          headers: (await relayed?.next(model)) ?? {},
          ...(this.#continues(prompt) ? { providerOptions: CONTINUES } : {}),
          ...(sink.remote === undefined ? {} : { providerOptions: sink.remote.request() }),
        }
        this.maxDeltas = deltas + options.maxOutputTokens
        const call = { model: model.id, maxTokens: options.maxOutputTokens, attempt }
        const finish = await instrumented(metrics, trace, call, () => callModel(model, options, limits, sink, signal))
        this.#fit.accepted()
        return this.#book(finish)
      } catch (error) {
        const isSilent = appender.state.deltas === deltas && !signal.aborted && sink.isStored !== true
        if (!(error instanceof ModelFailure && isSilent)) throw error
        if (this.#fit.refused(error)) {
          logger.info({ run, code: error.code, attempt }, 'adapting the prompt of the model call')
          continue
        }
        failures += 1
        if (!(error.retryable && !error.accepted && failures < limits.modelTries)) throw error
        const wait = Math.max(error.retryAfterMs ?? 0, 250 * 2 ** failures)
        if (wait > limits.modelWaitMs) throw error
        logger.info({ run, code: error.code, attempt, wait }, 'retrying the model call')
        await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    }
  }

  /** Whether the prompt ends with stored text of this run. A sender's own conversation may end with an answer, too. */
  #continues(prompt: FittingPrompt['prompt']): boolean {
    return prompt.at(-1)?.role === 'assistant' && this.#options.appender.state.output !== undefined
  }

  #maxOutputTokens(): number {
    const asked = this.#options.message()?.context?.sampling?.maxOutputTokens ?? Number.POSITIVE_INFINITY
    return Math.max(1, Math.min(asked, this.#limits.outputTokens - this.#outputTokens()))
  }

  /** By the provider's count where it has given one, else by deltas. */
  #outputTokens(): number {
    const { deltas, usage } = this.#options.appender.state
    return Math.max(deltas, usage.outputTokens)
  }

  /** The output limit of the next model call. @throws ModelFailure budget_exceeded */
  #withinBudget(tokens: number, prompt: FittingPrompt['prompt']): number {
    this.#limit = 'token_limit'
    if (this.#budget === undefined) return tokens
    this.#budget.expect(this.#use.begins(prompt, this.#options.appender.state.deltas))
    const { left } = this.#budget
    if (left <= 0) throw new ModelFailure('budget_exceeded')
    if (left >= tokens) return tokens
    this.#limit = 'budget_exceeded'
    return left
  }

  /** Books the usage of a model call. @throws ModelFailure budget_exceeded, if the budget cut its answer */
  #book(finish: ModelFinish): ModelFinish {
    const { appender } = this.#options
    this.#budget?.expect(0)
    this.#use.finished(finish.usage, appender.state.deltas)
    if (finish.reason !== 'length' || this.#limit !== 'budget_exceeded') return finish
    appender.apply((state) => Run.finished(state, finish.usage))
    throw new ModelFailure('budget_exceeded')
  }
}
