// RunDriver: drives one run from start to end. It calls the model, appends the output to the log, waits for tools, and calls the
// model again. recovery.ts decides how it continues after a lost driver. A driver stops at once when the run has ended or has
// another driver.
import { setMaxListeners } from 'node:events'
import type { SharedV3Warning } from '@ai-sdk/provider'
import type { MessageEvent, RunError, RunStarted } from '@parley/protocol'
import type { Logger } from 'pino'
import type { RunMeter } from '../metric/run-meter.ts'
import type { RunMetrics } from '../metric/run-metrics.ts'
import type { Conversation } from '../model/provider-prompt.ts'
import { compactRun, endChildren } from '../session/commands/end-run.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { topRun } from '../session/state/child-runs.ts'
import { fromParts } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findRun, type SessionState } from '../session/state/session-state.ts'
import { Conflict } from '../store/ports/errors.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { Tracer } from '../trace/tracer.ts'
import { dueHandOff, type RunAgent } from './agent/agents.ts'
import { messageOf, meterOf, sentAt } from './completion-metrics.ts'
import { askedConversation, conversationOf, isWhole, userMessage } from './conversation.ts'
import type { ModelToolCall } from './model-answer.ts'
import { ModelFailure, type ModelSink } from './model-call.ts'
import { ModelStep } from './model-step.ts'
import type { Recovery } from './recovery.ts'
import { RelayedCalls, type RelayPort } from './relayed/relayed-calls.ts'
import { ReplaySink } from './relayed/replay-sink.ts'
import { AnswerLost, type TakeOver, takeOver } from './relayed/take-over.ts'
import { RemoteOutput } from './remote-output.ts'
import { RunAppender } from './run-appender.ts'
import type { RunBudgets } from './run-budget.ts'
import { type ModelExtra, RunExtras } from './run-extras.ts'
import { failureOf } from './run-failure.ts'
import { type RunLimits, withLimits } from './run-limits.ts'
import * as Run from './run-state.ts'
import { RunTools, type RunToolsOptions, toolsOptions } from './run-tools.ts'
import { RunTrace } from './run-trace.ts'

export interface RunDriverOptions extends Pick<RunToolsOptions, 'idle'> {
  readonly log: SessionLog
  readonly node: string
  /** The agent that answers now. */
  readonly agent: RunAgent
  /** Another agent, for a hand-off. @throws ReplyError agent_not_found, model_not_allowed */
  readonly agentNamed: (name: string) => RunAgent
  readonly offerChild: RunToolsOptions['offerChild']
  readonly limits: RunLimits
  readonly logger: Logger
  readonly metrics?: RunMetrics | undefined
  readonly tracer?: Tracer | undefined
  readonly budgets?: RunBudgets | undefined
  readonly relay?: RelayPort | undefined
  readonly recovery?: 'continue' | 'restart' | undefined
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
  readonly #step: ModelStep
  readonly #extras: RunExtras
  readonly #calls: Pick<RunToolsOptions, 'owner' | 'trace' | 'extras'>
  /** Of ModelSink: what the agent does besides, if it is a remote one. */
  remote: RemoteOutput | undefined
  readonly #relayed: RelayedCalls | undefined
  /** The answer that is read again. */
  #replay: ReplaySink | undefined
  #taken: string[] | undefined
  readonly #meter: RunMeter | undefined
  readonly #trace: RunTrace | undefined
  #agent: RunAgent
  /** The log has this driver's `run.started`. */
  #begun = false
  /** The log has its `run.ended`. */
  #ended = false
  /** Why the log accepts nothing more, if the run has neither ended nor moved. */
  #problem: unknown

  private constructor(
    options: RunDriverOptions,
    session: SessionReplica,
    state: Run.RunState,
    { request, isFound }: TakeOver,
    meter: RunMeter | undefined,
    trace: RunTrace | undefined,
  ) {
    const { log, limits, node, agent, logger, metrics, budgets, relay } = options
    this.#options = options
    this.#agent = agent
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
    this.#relayed = relay && new RelayedCalls(relay, this.#appender, request, isFound)
    const owner = `${node}/${state.about.epoch}`
    const give = (extra: Run.Extra): void => this.#appender.give(extra)
    this.#extras = new RunExtras({ log, session, run: this.#run, owner, logger, give }, Run.partsOf(state))
    this.#calls = { owner, trace, extras: this.#extras }
    const tools = toolsOptions(options, this.#calls, agent)
    // Each call of a step may wait with it.
    setMaxListeners(0, this.#stop.signal)
    this.#tools = new RunTools(tools, session, this.#run, this.#stop.signal)
    this.remote = this.#remoteOf(agent)
    const [appender, relayed, stop] = [this.#appender, this.#relayed, this.#stop]
    const message = (): MessageEvent | undefined => this.#message()
    const step = { budgets, logger, metrics, trace, session, relayed, appender, sink: this, stop, message }
    this.#step = new ModelStep(step, agent.model, withLimits(limits, agent))
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
    const { name, model } = options.agent
    const taken = await takeOver(record, model, options)
    const { recovery, request } = taken
    const state = Run.beginRun(
      {
        run: record.id,
        epoch: record.epoch + 1,
        model: model.id,
        message: record.message,
        owner: options.node,
        ...(record.parent === undefined ? {} : { parent: record.parent }),
        ...(name === undefined ? {} : { agent: name }),
        ...(request === undefined ? {} : { request }),
      },
      { last: record.last, next: record.next, output: fromParts(recovery.kept), step: recovery.step },
    )
    const message = messageOf(session, topRun(session.state, record).message)?.event
    const trace = options.tracer && new RunTrace(options.tracer, session.id, message, state.about)
    const meter = await meterOf({ ...options, model }, session, record, trace && (() => trace.firstOutput()))
    const driver = new RunDriver(options, session, state, taken, meter, trace)
    const onHandOver = (): void => driver.#stop.abort(handOver.reason)
    handOver.addEventListener('abort', onHandOver, { once: true })
    if (handOver.aborted) onHandOver()
    try {
      await driver.#step.openBudget({ user: message?.author, session: session.id, budget: message?.budget })
      await driver.#drive(recovery)
    } catch (error) {
      const isLost = error instanceof AnswerLost
      // Keep the output so far for the next driver.
      if (handOver.aborted || isLost) await driver.#appender.flushed()
      if (isLost) await driver.#lost()
      if (error !== STOPPED && !(error instanceof Conflict)) throw error
      if (driver.#problem !== undefined) throw driver.#problem
    } finally {
      handOver.removeEventListener('abort', onHandOver)
      driver.#letGo()
      driver.#stop.abort(STOPPED)
      driver.#step.closeBudget()
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
    this.#appender.receive(kind, delta)
    return this.#grew()
  }

  /** Appends what the model gives besides text. */
  extra(extra: ModelExtra): Promise<void> | undefined {
    this.#extras.add(extra)
    return this.#grew()
  }

  #grew(): Promise<void> | undefined {
    if (this.#appender.state.deltas > this.#step.maxDeltas) this.#step.exceeded()
    return this.#appender.whenWritable()
  }

  warned(warnings: readonly SharedV3Warning[]): void {
    this.#step.warned(warnings)
  }

  async call(call: ModelToolCall): Promise<string> {
    const item = await this.#tools.call(call)
    this.#appender.apply((state) => Run.called(state, item))
    return item.call
  }

  /** The next attempt begins when the session shows everything of this one, and does not find the answer again. */
  async #lost(): Promise<void> {
    const { last } = this.#appender.state
    await this.#relayed?.release()
    const isShown = (state: SessionState): true | undefined =>
      (findRun(state, this.#run)?.last ?? 0) >= last || undefined
    await this.#session.until(isShown, undefined, this.#options.limits.storageWaitMs)
  }

  /** Ends the response of a relay, if the run has ended. Otherwise, the next driver may need it. */
  #letGo(): void {
    const isEnded = this.#ended || findRun(this.#session.state, this.#run)?.phase === 'ended'
    this.#relayed?.letGo(this.#begun && isEnded)
  }

  async #drive(recovery: Recovery): Promise<void> {
    await this.#begin(recovery)
    const { runMs } = withLimits(this.#options.limits, this.#agent)
    const timer = setTimeout(() => this.#stop.abort(new ModelFailure('time_limit')), runMs)
    try {
      const isCut = await this.#steps(recovery)
      this.#appender.apply((state) =>
        Run.ending(state, { reason: 'completed', ...(isCut ? { cut: true } : {}), ...this.#step.notices.all }),
      )
    } catch (error) {
      if (error instanceof AnswerLost) throw error
      const failure = this.#asFailure(error)
      if (failure === undefined) throw error
      await this.#endChildren()
      this.#appender.apply((state) =>
        Run.ending(state, { reason: 'failed', error: failure, ...this.#step.notices.all }),
      )
    } finally {
      clearTimeout(timer)
    }
    await this.#appender.ended()
    if (this.#problem !== undefined) throw this.#problem
    this.#ended = true
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
    const { remote } = this
    const replay = { session: this.#session, sink: this, tools: this.#tools, extras: this.#extras, remote }
    if (this.#relayed?.isFound) this.#replay = await ReplaySink.open(about, replay, this.#stop.signal)
    const output = this.#replay?.output ?? fromParts(recovery.kept)
    this.#appender.apply((state) => Run.started(state, seq, started.time, output))
  }

  /** Calls the model and runs its tools until the model is done. @returns whether the answer was cut */
  async #steps(recovery: Recovery): Promise<boolean> {
    if (recovery.awaitResults) this.#appender.apply((state) => Run.finished(state, { inputTokens: 0, outputTokens: 0 }))
    // The message's sender answers the calls of the last step.
    if (recovery.awaitResults && this.#tools.hasLeftStep) return false
    // Also if the model wrote text after a call: the prompt must contain the results. An answer that is read again has its calls itself.
    if (this.#replay === undefined) {
      await this.#tools.adopt()
      await this.#tools.results()
    }
    this.#step.warnOfSettings()
    const handed = recovery.awaitResults && (await this.#handOver())
    let conversation = await this.#conversation(
      !handed && recovery.mode === 'continue' && !recovery.awaitResults && this.#agent.model.prefill === 'exact',
    )
    if (recovery.awaitResults) this.#nextStep(conversation)
    for (;;) {
      const finish = await this.#step.call(conversation, await this.#tools.offered(), this.#replay)
      this.#replay?.end()
      this.#replay = undefined
      this.#appender.apply((state) => Run.finished(state, finish.usage))
      if (finish.reason === 'tool-calls' ? this.#tools.leavesStep : this.#steers().length === 0) {
        return finish.reason === 'length'
      }
      const results = await this.#tools.results()
      // The log has all calls. After an answer without any, only the next request shows that it was complete.
      if (results !== undefined) void this.#relayed?.release()
      if (await this.#handOver()) conversation = await this.#conversation(false)
      else {
        const turn = conversation.turns.at(-1)
        if (finish.content.length > 0) turn?.messages.push({ role: 'assistant', content: finish.content })
        if (results !== undefined) turn?.messages.push(results)
      }
      this.#nextStep(conversation)
    }
  }

  /** @throws ModelFailure context_exceeded */
  async #conversation(keepReasoning: boolean): Promise<Conversation> {
    const { system, model } = this.#agent
    const record = this.#replay?.before(this.#record()) ?? this.#record()
    const options = { system, keepReasoning, model: model.id, named: model.remote }
    if (record.parent !== undefined) return askedConversation(this.#session.state, record, options)
    const isAll = isWhole(this.#message())
    const state = await this.#session.stateWithHistory(record.message, isAll)
    const isCut = await this.#session.isCut(state, record.message)
    const conversation = conversationOf(state, record, { ...options, isCut })
    if (conversation.isCut === true && isAll) throw new ModelFailure('context_exceeded')
    return conversation
  }

  /** Lets another agent continue if the last step handed the run over. @returns whether it did @throws ReplyError agent_not_found */
  async #handOver(): Promise<boolean> {
    const due = dueHandOff(this.#record())
    if (due === undefined) return false
    const agent = this.#options.agentNamed(due.to)
    this.#appender.apply((state) => Run.handed(state, due.to, agent.model.id, due.reason))
    await this.#session.until((state) => findRun(state, this.#run)?.agent === due.to || undefined, this.#stop.signal)
    this.#agent = agent
    this.remote = this.#remoteOf(agent)
    this.#tools.use(agent.serverTools)
    this.#step.use(agent.model, withLimits(this.#options.limits, agent))
    return true
  }

  #remoteOf({ remote, model, serverTools }: RunAgent): RemoteOutput | undefined {
    if (remote === undefined) return undefined
    const options = { ...toolsOptions(this.#options, this.#calls, { serverTools }), ...remote, model: model.id }
    return new RemoteOutput({ ...options, tools: this.#tools }, this.#session, this.#appender, this.#stop.signal)
  }

  /** Ends the child runs, so that none of them says anything after this run's end. */
  async #endChildren(): Promise<void> {
    await this.#appender.flushed()
    await this.#tools.childrenKnown(this.#options.limits.storageWaitMs)
    await endChildren(this.#options.log, this.#session, this.#run)
  }

  /** Adds new steering messages to the prompt of the next model call. */
  #nextStep({ turns }: Conversation): void {
    const steers = this.#steers()
    for (const { event } of this.#session.state.messages) {
      if (!steers.includes(event.id)) continue
      this.#taken ??= []
      this.#taken.push(event.id)
      turns.at(-1)?.messages.push(userMessage(event, this.#agent.model.remote))
    }
    this.#meter?.nextCall()
    this.#extras.nextStep()
    this.#appender.apply((state) => Run.nextStep(state, steers))
  }

  /** Steering messages that no model call has yet. The session may not show this driver's own taking yet. */
  #steers(): readonly string[] {
    return this.#record().steers.filter((message) => this.#taken?.includes(message) !== true)
  }

  #message(): MessageEvent | undefined {
    const id = this.#appender.state.about.message
    return this.#session.state.messages.find(({ event }) => event.id === id)?.event
  }

  #record(): RunRecord {
    const record = findRun(this.#session.state, this.#run)
    if (record === undefined) throw STOPPED
    return record
  }

  /** The failure that ends the run; undefined if the run itself did not fail. */
  #asFailure(error: unknown): RunError | undefined {
    const isStop = error === STOPPED || error === this.#stop.signal.reason
    if (isStop && !(error instanceof ModelFailure)) return undefined
    return failureOf(error, this.#run, this.#options.logger)
  }
}
