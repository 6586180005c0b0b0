// RunDriver: drives one run from its start to its end: calls the model, hands what it says to the log, waits for
// its tools, and calls it again. How it goes on after a lost owner is decided in recovery.ts. An owner that
// finds the run ended, or owned by another, stops at once.
import type { LanguageModelV3Prompt } from '@ai-sdk/provider'
import { type MessageEvent, ReplyError, type RunStarted } from '@parley/protocol'
import type { Logger } from 'pino'
import type { RunMeter } from '../metric/run-meter.ts'
import type { RunMetrics } from '../metric/run-metrics.ts'
import type { Model } from '../model/model.ts'
import { compactRun } from '../session/commands/end-run.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { fromParts } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findRun } from '../session/state/session-state.ts'
import { Conflict, StorageError } from '../store/ports/errors.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { ServerTool } from '../tool/define-tool.ts'
import type { Tracer } from '../trace/tracer.ts'
import { messageOf, meterOf, sentAt } from './completion-metrics.ts'
import { timed } from './instrumented-call.ts'
import {
  callModel,
  ModelFailure,
  type ModelFinish,
  type ModelSink,
  type ModelTimeouts,
  type ModelToolCall,
} from './model-call.ts'
import { buildPrompt, userMessage } from './prompt.ts'
import { type Recovery, recover } from './recovery.ts'
import { RunAppender } from './run-appender.ts'
import { type OpenBudget, type RunBudgets, RunUse } from './run-budget.ts'
import * as Run from './run-state.ts'
import { RunTools } from './run-tools.ts'
import { RunTrace } from './run-trace.ts'
import { sampled } from './sampling.ts'

export interface RunLimits extends ModelTimeouts {
  /** Model calls. */
  readonly steps: number
  /** Output tokens, as counted by deltas while they come, over all steps. */
  readonly outputTokens: number
  /** Milliseconds from the owner's start, waits for tools and people included. */
  readonly runMs: number
  /** UTF-16 code units of history that the model is given. */
  readonly contextChars: number
  readonly approvalMs: number
  readonly clientToolMs: number
  /** Tries of one model call that failed before its first token, in a way that may pass. */
  readonly modelTries: number
  /** Milliseconds that a provider may ask to wait before such a try; beyond, the run fails. */
  readonly modelWaitMs: number
  /** Milliseconds that appends are tried again while the log cannot be written. */
  readonly storageWaitMs: number
  /** Milliseconds that a run's message may come later than its offer: no less than an append may take. */
  readonly messageWaitMs: number
}

export interface RunDriverOptions {
  readonly log: SessionLog
  readonly node: string
  readonly model: Model
  readonly system: string | undefined
  readonly serverTools: ReadonlyMap<string, ServerTool>
  readonly limits: RunLimits
  readonly logger: Logger
  readonly metrics?: RunMetrics | undefined
  readonly tracer?: Tracer | undefined
  readonly budgets?: RunBudgets | undefined
}

/** The run is not this owner's any more: it has ended, or has another owner. */
const STOPPED = new DOMException('The run is over for this owner.', 'AbortError')

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
  /** Deltas at which the run has used as many tokens as it may, and of what it then has too many. */
  #maxDeltas = 0
  #bound: 'token_limit' | 'budget_exceeded' = 'token_limit'
  #budget: OpenBudget | undefined
  readonly #use = new RunUse()
  /** The log has its start. */
  #begun = false
  /** Why the log takes nothing more of this owner, when it is not that the run is over. */
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
   * Resolves when the run has ended, by this owner or by anybody, or when another owner has it.
   * @param handOver aborted when another owner is to go on: the run is left as it is
   * @returns the last epoch of the run that this owner knows to be before any other's: its own, once it had begun
   * @throws StorageError when the log could not be written for too long; the signal's reason when handed over
   */
  static async drive(
    options: RunDriverOptions,
    session: SessionReplica,
    view: RunRecord,
    handOver: AbortSignal,
  ): Promise<number> {
    const recovery = recover(view, options.model.prefill)
    const state = Run.beginRun(
      { run: view.id, epoch: view.epoch + 1, model: options.model.id, message: view.message, owner: options.node },
      { last: view.last, next: view.next, output: fromParts(recovery.kept), step: recovery.step },
    )
    const message = messageOf(session, view.message)?.event
    const trace = options.tracer && new RunTrace(options.tracer, session.id, message, state.about)
    const meter = await meterOf(options, session, view, trace && (() => trace.spoke()))
    const owner = new RunDriver(options, session, state, meter, trace)
    const onHandOver = (): void => owner.#stop.abort(handOver.reason)
    handOver.addEventListener('abort', onHandOver, { once: true })
    if (handOver.aborted) onHandOver()
    try {
      await owner.#openBudget()
      await owner.#drive(recovery)
    } catch (error) {
      // What the model has said already is worth keeping for the next owner.
      if (handOver.aborted) await owner.#appender.emptied()
      if (error !== STOPPED && !(error instanceof Conflict)) throw error
      if (owner.#problem !== undefined) throw owner.#problem
    } finally {
      handOver.removeEventListener('abort', onHandOver)
      owner.#stop.abort(STOPPED)
      owner.#closeBudget()
      owner.#appender.close()
      await owner.#tools.stopped()
      const ended = findRun(session.state, view.id)?.ended
      meter?.done(owner.#appender.state.deltas, ended?.reason === 'cancelled' || ended?.reason === 'superseded')
      trace?.done(ended, handOver.aborted)
    }
    await compactRun(options.log, session, view.id, Run.usageSoFar(owner.#appender.state))
    return owner.#begun ? view.epoch + 1 : view.epoch
  }

  /** What the model says, for the log. */
  text(kind: Run.TextKind, delta: string): Promise<void> | undefined {
    const state = this.#appender.receive(kind, delta)
    if (state.deltas > this.#maxDeltas) this.#stop.abort(new ModelFailure(this.#bound))
    return this.#appender.room()
  }

  call(call: ModelToolCall): string {
    const item = this.#tools.call(call)
    this.#appender.apply((state) => Run.called(state, item))
    return item.call
  }

  async #drive(recovery: Recovery): Promise<void> {
    await this.#begin(recovery)
    const timer = setTimeout(() => this.#stop.abort(new ModelFailure('time_limit')), this.#options.limits.runMs)
    try {
      const isCut = await this.#steps(recovery)
      this.#appender.apply((state) => Run.ending(state, { reason: 'completed', ...(isCut ? { cut: true } : {}) }))
    } catch (error) {
      const failure = this.#asFailure(error)
      if (failure === undefined) throw error
      this.#appender.apply((state) => Run.ending(state, { reason: 'failed', error: failure }))
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
      // Readers dropped all of it: they get back the steps that are complete.
      const output = [...recovery.kept]
      const whole = { ...about, startedAt: started.time, next, output }
      const snapshot = { type: 'run.snapshot' as const, ...whole, changes: true as const }
      const kept = await log.append(this.#session.id, subject, snapshot, seq, { rollup: true })
      seq = kept.seq
    }
    this.#appender.apply((state) => Run.started(state, seq, started.time, fromParts(recovery.kept)))
  }

  /** Model calls and their tools, until the model has nothing more to do. @returns whether the answer was cut */
  async #steps(recovery: Recovery): Promise<boolean> {
    const { model, system, limits } = this.#options
    if (recovery.settle) this.#appender.apply((state) => Run.finished(state, { inputTokens: 0, outputTokens: 0 }))
    // Its last step's calls were made, and are others' to answer.
    if (recovery.settle && this.#tools.leavesCalls) return false
    // Even where the model had gone on to speak after a call: the prompt has to have the results.
    this.#tools.adopt()
    await this.#tools.results()
    const state = await this.#session.stateFor(this.#view().message)
    const prompt: LanguageModelV3Prompt = buildPrompt(state, this.#view(), {
      system,
      maxChars: limits.contextChars,
      keepReasoning: recovery.mode === 'continue' && !recovery.settle && model.prefill === 'exact',
    })
    if (recovery.settle) this.#nextStep(prompt)
    for (;;) {
      if (this.#appender.state.step >= limits.steps) throw new ModelFailure('step_limit')
      const finish = await this.#callModel(prompt)
      this.#appender.apply((state) => Run.finished(state, finish.usage))
      if (finish.reason === 'tool-calls' ? this.#tools.leavesCalls : this.#steers().length === 0) {
        return finish.reason === 'length'
      }
      const results = await this.#tools.results()
      if (finish.content.length > 0) prompt.push({ role: 'assistant', content: finish.content })
      if (results !== undefined) prompt.push(results)
      this.#nextStep(prompt)
    }
  }

  /** Steering messages that came meanwhile join the prompt of the next model call. */
  #nextStep(prompt: LanguageModelV3Prompt): void {
    const steers = this.#steers()
    for (const { event } of this.#session.state.messages) {
      if (!steers.includes(event.id)) continue
      this.#taken.add(event.id)
      prompt.push(userMessage(event))
    }
    this.#meter?.nextCall()
    this.#appender.apply((state) => Run.nextStep(state, steers))
  }

  /** Those that are not taken yet: the log may not have told us of our own taking. */
  #steers(): readonly string[] {
    return this.#view().steers.filter((message) => !this.#taken.has(message))
  }

  async #callModel(prompt: LanguageModelV3Prompt): Promise<ModelFinish> {
    const { model, limits, logger } = this.#options
    const tools = this.#tools.offered()
    for (let attempt = 1; ; attempt += 1) {
      const { deltas } = this.#appender.state
      const { signal } = this.#stop
      try {
        const options = {
          prompt: [...prompt],
          ...sampled(this.#message()?.context?.sampling, tools),
          maxOutputTokens: this.#boundBy(this.#maxOutputTokens(), prompt),
        }
        this.#maxDeltas = deltas + options.maxOutputTokens
        const call = { model: model.id, maxTokens: options.maxOutputTokens, attempt }
        const finish = await timed(this.#options.metrics, this.#trace, call, () =>
          callModel(model, options, limits, this, signal),
        )
        return this.#paid(finish)
      } catch (error) {
        const silent = this.#appender.state.deltas === deltas && !signal.aborted
        if (!(error instanceof ModelFailure && error.retryable && silent && attempt < limits.modelTries)) throw error
        const wait = Math.max(error.retryAfterMs ?? 0, 250 * 2 ** attempt)
        if (wait > limits.modelWaitMs) throw error
        logger.info({ run: this.#run, code: error.code, attempt, wait }, 'model call is tried again')
        await sleep(wait, signal)
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
      over: () => this.#stop.abort(new ModelFailure('budget_exceeded')),
    })
  }

  #closeBudget(): void {
    this.#use.broke(this.#appender.state.deltas)
    this.#budget?.close()
  }

  /** Output tokens that the next model call may have. @throws ModelFailure budget_exceeded */
  #boundBy(tokens: number, prompt: LanguageModelV3Prompt): number {
    this.#bound = 'token_limit'
    if (this.#budget === undefined) return tokens
    this.#budget.expect(this.#use.begins(prompt, this.#appender.state.deltas))
    const { left } = this.#budget
    if (left <= 0) throw new ModelFailure('budget_exceeded')
    if (left >= tokens) return tokens
    this.#bound = 'budget_exceeded'
    return left
  }

  /** A model call is over, and told what it took. @throws ModelFailure budget_exceeded where that is what cut it */
  #paid(finish: ModelFinish): ModelFinish {
    this.#budget?.expect(0)
    this.#use.finished(finish.usage, this.#appender.state.deltas)
    if (finish.reason !== 'length' || this.#bound !== 'budget_exceeded') return finish
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

  #view(): RunRecord {
    const view = findRun(this.#session.state, this.#run)
    if (view === undefined) throw STOPPED
    return view
  }

  /** The failure that ends the run; undefined when it is not the run that failed. */
  #asFailure(error: unknown): { code: ModelFailure['code']; message: string } | undefined {
    if (error instanceof ModelFailure) {
      this.#options.logger.warn({ err: error.cause, run: this.#run, code: error.code }, 'run failed')
      return { code: error.code, message: error.message }
    }
    if (error === STOPPED || error === this.#stop.signal.reason || error instanceof Conflict) return undefined
    // The log is away: another try may find it back.
    if (error instanceof StorageError || (error instanceof ReplyError && error.retryable)) return undefined
    this.#options.logger.error({ err: error, run: this.#run }, 'run failed inside the server')
    if (error instanceof ReplyError) return { code: error.code, message: error.message }
    return { code: 'internal', message: 'Something went wrong on the server.' }
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
