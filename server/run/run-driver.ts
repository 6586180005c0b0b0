// RunDriver: drives one run from start to end. It calls the model, appends the output to the log, waits for tools, and calls the
// model again. recovery.ts decides how it continues after a lost driver. A driver stops at once when the run has ended or has
// another driver.
import { setTimeout as sleep } from 'node:timers/promises'
import type { SharedV3Warning } from '@ai-sdk/provider'
import { ERRORS, type MessageEvent, ReplyError, type RunError, type RunStarted } from '@parley/protocol'
import type { Logger } from 'pino'
import type { RunMeter } from '../metric/run-meter.ts'
import type { RunMetrics } from '../metric/run-metrics.ts'
import type { Model } from '../model/model.ts'
import { loggedCause } from '../model/provider-failure.ts'
import { unsupportedOptions } from '../model/provider-options.ts'
import type { Conversation } from '../model/provider-prompt.ts'
import { compactRun } from '../session/commands/end-run.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { fromParts } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findRun } from '../session/state/session-state.ts'
import { Conflict, StorageError } from '../store/ports/errors.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { ToolSet } from '../tool/tool-set.ts'
import type { Tracer } from '../trace/tracer.ts'
import { messageOf, meterOf, sentAt } from './completion-metrics.ts'
import { conversationOf, isWhole, userMessage } from './conversation.ts'
import { instrumented } from './instrumented-call.ts'
import type { ModelFinish, ModelToolCall } from './model-answer.ts'
import { callModel, ModelFailure, type ModelSink, type ModelTimeouts } from './model-call.ts'
import { type FittingPrompt, PromptFit } from './prompt-fit.ts'
import { ProviderNotices } from './provider-notices.ts'
import { type Recovery, recover } from './recovery.ts'
import { RunAppender } from './run-appender.ts'
import { type OpenBudget, type RunBudgets, RunUse } from './run-budget.ts'
import * as Run from './run-state.ts'
import { RunTools, type RunToolsOptions } from './run-tools.ts'
import { RunTrace } from './run-trace.ts'
import { sampled } from './sampling.ts'

export interface RunLimits extends ModelTimeouts {
  /** Model calls. */
  readonly steps: number
  /** Output tokens over all steps, counted by deltas while they stream. */
  readonly outputTokens: number
  /** Milliseconds from the driver's start, including waits for tools and people. */
  readonly runMs: number
  readonly approvalMs: number
  readonly clientToolMs: number
  /** Attempts of a model call that fails temporarily before its first token. */
  readonly modelTries: number
  /** The longest wait (ms) that a provider may ask for before an attempt; beyond it, the run fails. */
  readonly modelWaitMs: number
  /** Retry appends for this long while the log cannot be written (ms). */
  readonly storageWaitMs: number
  /** Milliseconds that a run's message may come after its offer: at least the longest append. */
  readonly messageWaitMs: number
}

export interface RunDriverOptions extends Pick<RunToolsOptions, 'idle'> {
  readonly log: SessionLog
  readonly node: string
  readonly model: Model
  readonly system: string | undefined
  readonly serverTools: ToolSet
  readonly limits: RunLimits
  readonly logger: Logger
  readonly metrics?: RunMetrics | undefined
  readonly tracer?: Tracer | undefined
  readonly budgets?: RunBudgets | undefined
}

/** The run has ended or has another driver. */
const STOPPED = new DOMException('The run has ended or has another driver.', 'AbortError')

export class RunDriver implements ModelSink {
  readonly #options: RunDriverOptions
  readonly #session: SessionReplica
  readonly #run: string
  readonly #stop = new AbortController()
  readonly #appender: RunAppender
  readonly #tools: RunTools
  readonly #taken = new Set<string>()
  readonly #meter: RunMeter | undefined
  readonly #trace: RunTrace | undefined
  /** The delta count that ends the run, and the limit that it then exceeds. */
  #maxDeltas = 0
  #limit: 'token_limit' | 'budget_exceeded' = 'token_limit'
  #budget: OpenBudget | undefined
  readonly #use = new RunUse()
  readonly #notices = new ProviderNotices()
  readonly #fit: PromptFit
  /** The log has this driver's `run.started`. */
  #begun = false
  /** Why the log accepts nothing more, if the run has neither ended nor moved. */
  #problem: unknown

  private constructor(
    options: RunDriverOptions,
    session: SessionReplica,
    state: Run.RunState,
    meter: RunMeter | undefined,
    trace: RunTrace | undefined,
  ) {
    const { log, limits, node } = options
    this.#options = options
    this.#fit = new PromptFit(options.model, this.#notices, session)
    this.#session = session
    this.#run = state.about.run
    this.#meter = meter
    this.#trace = trace
    this.#appender = new RunAppender(
      {
        log,
        session,
        storageWaitMs: limits.storageWaitMs,
        meter,
        stopped: (problem) => {
          this.#problem = problem
          this.#stop.abort(STOPPED)
        },
      },
      state,
    )
    const owner = `${node}/${state.about.epoch}`
    this.#tools = new RunTools({ ...options, ...limits, owner, trace }, session, state.about.run, this.#stop.signal)
  }

  /**
   * Resolves when the run has ended, by this driver or otherwise, or when another driver has it.
   * @param handOver aborted when another driver must continue; the run is left as it is
   * @returns this driver's attempt number (`epoch`) once it had started; before that, the previous one
   * @throws StorageError if the log could not be written for too long; the signal's reason on a hand-over
   */
  static async drive(
    options: RunDriverOptions,
    session: SessionReplica,
    record: RunRecord,
    handOver: AbortSignal,
  ): Promise<number> {
    const recovery = recover(record, options.model.prefill)
    const state = Run.beginRun(
      {
        run: record.id,
        epoch: record.epoch + 1,
        model: options.model.id,
        message: record.message,
        owner: options.node,
      },
      { last: record.last, next: record.next, output: fromParts(recovery.kept), step: recovery.step },
    )
    const message = messageOf(session, record.message)?.event
    const trace = options.tracer && new RunTrace(options.tracer, session.id, message, state.about)
    const meter = await meterOf(options, session, record, trace && (() => trace.firstOutput()))
    const driver = new RunDriver(options, session, state, meter, trace)
    const onHandOver = (): void => driver.#stop.abort(handOver.reason)
    handOver.addEventListener('abort', onHandOver, { once: true })
    if (handOver.aborted) onHandOver()
    try {
      await driver.#openBudget()
      await driver.#drive(recovery)
    } catch (error) {
      // Keep the output so far for the next driver.
      if (handOver.aborted) await driver.#appender.flushed()
      if (error !== STOPPED && !(error instanceof Conflict)) throw error
      if (driver.#problem !== undefined) throw driver.#problem
    } finally {
      handOver.removeEventListener('abort', onHandOver)
      driver.#stop.abort(STOPPED)
      driver.#closeBudget()
      driver.#appender.close()
      await driver.#tools.stopped()
      const ended = findRun(session.state, record.id)?.ended
      meter?.done(driver.#appender.state.deltas, ended?.reason === 'cancelled' || ended?.reason === 'superseded')
      trace?.done(ended, handOver.aborted)
    }
    await compactRun(options.log, session, record.id, Run.usageSoFar(driver.#appender.state))
    return driver.#begun ? record.epoch + 1 : record.epoch
  }

  /** Appends a delta of the model. */
  text(kind: Run.TextKind, delta: string): Promise<void> | undefined {
    const state = this.#appender.receive(kind, delta)
    if (state.deltas > this.#maxDeltas) this.#stop.abort(new ModelFailure(this.#limit))
    return this.#appender.whenWritable()
  }

  warned(warnings: readonly SharedV3Warning[]): void {
    this.#notices.add(warnings, this.#message()?.context?.sampling)
  }

  async call(call: ModelToolCall): Promise<string> {
    const item = await this.#tools.call(call)
    this.#appender.apply((state) => Run.called(state, item))
    return item.call
  }

  async #drive(recovery: Recovery): Promise<void> {
    await this.#begin(recovery)
    const timer = setTimeout(() => this.#stop.abort(new ModelFailure('time_limit')), this.#options.limits.runMs)
    try {
      const isCut = await this.#steps(recovery)
      this.#appender.apply((state) =>
        Run.ending(state, { reason: 'completed', ...(isCut ? { cut: true } : {}), ...this.#notices.all }),
      )
    } catch (error) {
      const failure = this.#asFailure(error)
      if (failure === undefined) throw error
      this.#appender.apply((state) => Run.ending(state, { reason: 'failed', error: failure, ...this.#notices.all }))
    } finally {
      clearTimeout(timer)
    }
    await this.#appender.ended()
    if (this.#problem !== undefined) throw this.#problem
  }

  async #begin(recovery: Recovery): Promise<void> {
    const { log } = this.#options
    const { about, next, last } = this.#appender.state
    const subject = `run.${about.run}`
    const event: RunStarted = { type: 'run.started', ...about, mode: recovery.mode, next }
    const started = await log.append(this.#session.id, subject, event, last)
    this.#begun = true
    const asked = this.#message()
    const from = about.epoch === 1 ? sentAt(this.#session, about.message) : undefined
    const waited = from === undefined ? undefined : { from, to: started.time }
    this.#options.metrics?.began(asked ?? {}, about.model, recovery.mode, waited && (waited.to - waited.from) / 1000)
    this.#trace?.began(recovery.mode, waited)
    let { seq } = started
    if (recovery.mode === 'restart' && recovery.kept.length > 0) {
      // Readers dropped all output: this snapshot returns the complete steps to them.
      const output = [...recovery.kept]
      const whole = { ...about, startedAt: started.time, next, output }
      const snapshot = { type: 'run.snapshot' as const, ...whole, changes: true as const }
      const kept = await log.append(this.#session.id, subject, snapshot, seq, { rollup: true })
      seq = kept.seq
    }
    this.#appender.apply((state) => Run.started(state, seq, started.time, fromParts(recovery.kept)))
  }

  /** Calls the model and runs its tools until the model is done. @returns whether the answer was cut */
  async #steps(recovery: Recovery): Promise<boolean> {
    const { model, system, limits } = this.#options
    if (recovery.awaitResults) this.#appender.apply((state) => Run.finished(state, { inputTokens: 0, outputTokens: 0 }))
    // The message's sender answers the calls of the last step.
    if (recovery.awaitResults && this.#tools.leavesCalls) return false
    // Also if the model wrote text after a call: the prompt must contain the results.
    await this.#tools.adopt()
    await this.#tools.results()
    const asked = this.#message()?.context?.sampling ?? {}
    this.warned(unsupportedOptions(model.id, asked).map((feature) => ({ type: 'unsupported', feature })))
    const state = await this.#session.stateWithHistory(this.#record().message, isWhole(this.#message()))
    const conversation = conversationOf(state, this.#record(), {
      system,
      keepReasoning: recovery.mode === 'continue' && !recovery.awaitResults && model.prefill === 'exact',
      model: model.id,
      isCut: await this.#session.isCut(state, this.#record().message),
    })
    if (conversation.isCut === true && isWhole(this.#message())) throw new ModelFailure('context_exceeded')
    if (recovery.awaitResults) this.#nextStep(conversation)
    for (;;) {
      if (this.#appender.state.step >= limits.steps) throw new ModelFailure('step_limit')
      const finish = await this.#callModel(conversation)
      this.#appender.apply((state) => Run.finished(state, finish.usage))
      if (finish.reason === 'tool-calls' ? this.#tools.leavesCalls : this.#steers().length === 0) {
        return finish.reason === 'length'
      }
      const results = await this.#tools.results()
      const turn = conversation.turns.at(-1)
      if (finish.content.length > 0) turn?.messages.push({ role: 'assistant', content: finish.content })
      if (results !== undefined) turn?.messages.push(results)
      this.#nextStep(conversation)
    }
  }

  /** Adds new steering messages to the prompt of the next model call. */
  #nextStep({ turns }: Conversation): void {
    const steers = this.#steers()
    for (const { event } of this.#session.state.messages) {
      if (!steers.includes(event.id)) continue
      this.#taken.add(event.id)
      turns.at(-1)?.messages.push(userMessage(event))
    }
    this.#meter?.nextCall()
    this.#appender.apply((state) => Run.nextStep(state, steers))
  }

  /** Steering messages that no model call has yet. The session may not show this driver's own taking yet. */
  #steers(): readonly string[] {
    return this.#record().steers.filter((message) => !this.#taken.has(message))
  }

  async #callModel(conversation: Conversation): Promise<ModelFinish> {
    const { model, limits, logger } = this.#options
    const offered = await this.#tools.offered()
    const asked = { whole: isWhole(this.#message()), asSent: this.#message()?.door === 'openai' }
    for (let attempt = 1, failures = 0; ; attempt += 1) {
      const { deltas } = this.#appender.state
      const { signal } = this.#stop
      try {
        const outputTokens = this.#maxOutputTokens()
        const { prompt, tools } = this.#fit.prepare({ conversation, offered, outputTokens, ...asked })
        const options = {
          prompt,
          ...sampled(model.id, this.#message()?.context?.sampling, tools),
          maxOutputTokens: this.#withinBudget(outputTokens, prompt),
        }
        this.#maxDeltas = deltas + options.maxOutputTokens
        const call = { model: model.id, maxTokens: options.maxOutputTokens, attempt }
        const finish = await instrumented(this.#options.metrics, this.#trace, call, () =>
          callModel(model, options, limits, this, signal),
        )
        this.#fit.accepted()
        return this.#book(finish)
      } catch (error) {
        const isSilent = this.#appender.state.deltas === deltas && !signal.aborted
        if (!(error instanceof ModelFailure && isSilent)) throw error
        if (this.#fit.refused(error)) {
          logger.info({ run: this.#run, code: error.code, attempt }, 'adapting the prompt of the model call')
          continue
        }
        failures += 1
        if (!(error.retryable && failures < limits.modelTries)) throw error
        const wait = Math.max(error.retryAfterMs ?? 0, 250 * 2 ** failures)
        if (wait > limits.modelWaitMs) throw error
        logger.info({ run: this.#run, code: error.code, attempt, wait }, 'retrying the model call')
        await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    }
  }

  #maxOutputTokens(): number {
    const asked = this.#message()?.context?.sampling?.maxOutputTokens ?? Number.POSITIVE_INFINITY
    return Math.max(1, Math.min(asked, this.#options.limits.outputTokens - this.#outputTokens()))
  }

  async #openBudget(): Promise<void> {
    const message = this.#message()
    const payer = { user: message?.author, session: this.#session.id, budget: message?.budget }
    this.#budget = await this.#options.budgets?.open(payer, {
      used: () => this.#use.used(this.#appender.state.deltas),
      exhausted: () => this.#stop.abort(new ModelFailure('budget_exceeded')),
    })
  }

  #closeBudget(): void {
    this.#use.broke(this.#appender.state.deltas)
    this.#budget?.close()
  }

  /** The output limit of the next model call. @throws ModelFailure budget_exceeded */
  #withinBudget(tokens: number, prompt: FittingPrompt['prompt']): number {
    this.#limit = 'token_limit'
    if (this.#budget === undefined) return tokens
    this.#budget.expect(this.#use.begins(prompt, this.#appender.state.deltas))
    const { left } = this.#budget
    if (left <= 0) throw new ModelFailure('budget_exceeded')
    if (left >= tokens) return tokens
    this.#limit = 'budget_exceeded'
    return left
  }

  /** Books the usage of a model call. @throws ModelFailure budget_exceeded, if the budget cut its answer */
  #book(finish: ModelFinish): ModelFinish {
    this.#budget?.expect(0)
    this.#use.finished(finish.usage, this.#appender.state.deltas)
    if (finish.reason !== 'length' || this.#limit !== 'budget_exceeded') return finish
    this.#appender.apply((state) => Run.finished(state, finish.usage))
    throw new ModelFailure('budget_exceeded')
  }

  #message(): MessageEvent | undefined {
    const id = this.#appender.state.about.message
    return this.#session.state.messages.find(({ event }) => event.id === id)?.event
  }

  /** By the provider's count where it has given one, else by deltas. */
  #outputTokens(): number {
    const { deltas, usage } = this.#appender.state
    return Math.max(deltas, usage.outputTokens)
  }

  #record(): RunRecord {
    const record = findRun(this.#session.state, this.#run)
    if (record === undefined) throw STOPPED
    return record
  }

  /** The failure that ends the run; undefined if the run itself did not fail. */
  #asFailure(error: unknown): RunError | undefined {
    if (error instanceof ModelFailure) {
      const { cause, code, status } = error
      this.#options.logger.warn({ ...loggedCause(cause), run: this.#run, code, status }, 'run failed')
      return error.asRunError()
    }
    if (error === STOPPED || error === this.#stop.signal.reason || error instanceof Conflict) return undefined
    // The log is unavailable: a retry may succeed.
    if (error instanceof StorageError || (error instanceof ReplyError && error.retryable)) return undefined
    this.#options.logger.error({ err: error, run: this.#run }, 'run failed inside the server')
    if (error instanceof ReplyError) return { code: error.code, message: error.message, retryable: false }
    return { code: 'internal', ...ERRORS.internal }
  }
}
