// RunOwner: drives one run from its start to its end: calls the model, appends what it says as fast as the
// log takes it, sees its tool calls through, and calls it again. The decisions are in run-state.ts and
// recovery.ts; here is the I/O. An owner that finds the run ended, or owned by another, stops at once.
import type { LanguageModelV3FunctionTool, LanguageModelV3Message, LanguageModelV3Prompt } from '@ai-sdk/provider'
import { makeId, ReplyError, type RunStarted, type Usage } from '@parley/protocol'
import type { Logger } from 'pino'
import { Conflict, StorageError } from '../log/log-error.ts'
import type { SessionLog } from '../log/session-log.ts'
import type { Model } from '../model/model.ts'
import { compactRun } from '../session/end-run.ts'
import { fromParts } from '../session/run-output.ts'
import type { Session } from '../session/session.ts'
import { findRun, type RunView } from '../session/session-state.ts'
import type { ServerTool } from '../tool/define-tool.ts'
import { checkValue } from '../tool/json-schema.ts'
import { giveResult, keepCall } from './call-keeper.ts'
import { callModel, ModelFailure, type ModelFinish, type ModelTimeouts, type ModelToolCall, parseInput } from './model-call.ts'
import { buildPrompt, toolInput, toolOutput, userMessage } from './prompt.ts'
import { type Recovery, recover } from './recovery.ts'
import * as Run from './run-state.ts'

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
}

export interface OwnerOptions {
  readonly log: SessionLog
  readonly node: string
  readonly model: Model
  readonly system: string | undefined
  readonly serverTools: ReadonlyMap<string, ServerTool>
  readonly limits: RunLimits
  readonly logger: Logger
}

/** UTF-16 code units that wait for the log before the model is held back. */
const UNSENT_CHARS = 64 * 1024

/** The run is not this owner's any more: it has ended, or has another owner. */
const STOPPED = new DOMException('The run is over for this owner.', 'AbortError')

export class RunOwner {
  readonly #options: OwnerOptions
  readonly #session: Session
  readonly #run: string
  readonly #stop = new AbortController()
  readonly #calls: Promise<void>[] = []
  readonly #taken = new Set<string>()
  #state: Run.RunState
  #drained: (() => void)[] = []
  #storageFailedAt: number | undefined
  /** Somebody tries to end the run: nothing is appended until that is done. */
  #held = false

  private constructor(options: OwnerOptions, session: Session, state: Run.RunState) {
    this.#options = options
    this.#session = session
    this.#run = state.run
    this.#state = state
  }

  /**
   * Resolves when the run has ended, by this owner or by anybody.
   * @param handOver aborted when another owner is to go on: the run is left as it is
   * @throws StorageError when the log could not be written for too long; the signal's reason when handed over
   */
  static async drive(options: OwnerOptions, session: Session, view: RunView, handOver: AbortSignal): Promise<void> {
    const recovery = recover(view, options.model.prefill)
    const state = Run.beginRun(view.id, {
      epoch: view.epoch + 1,
      model: options.model.id,
      message: view.message,
      last: view.last,
      next: view.next,
      output: fromParts(recovery.kept),
      step: recovery.step,
    })
    const owner = new RunOwner(options, session, state)
    const unsubscribe = session.subscribe(() => owner.#look())
    const onHandOver = (): void => owner.#stop.abort(handOver.reason)
    handOver.addEventListener('abort', onHandOver, { once: true })
    if (handOver.aborted) onHandOver()
    try {
      await owner.#drive(recovery)
    } catch (error) {
      // What the model has said already is worth keeping for the next owner.
      if (handOver.aborted) await owner.#emptied()
      if (error !== STOPPED && !(error instanceof Conflict)) throw error
    } finally {
      unsubscribe()
      handOver.removeEventListener('abort', onHandOver)
      owner.#stop.abort(STOPPED)
      owner.#state = Run.fenced(owner.#state)
      await Promise.allSettled(owner.#calls)
    }
    await compactRun(options.log, session, view.id, owner.#usage)
  }

  async #drive(recovery: Recovery): Promise<void> {
    await this.#begin(recovery)
    const timer = setTimeout(() => this.#stop.abort(new ModelFailure('time_limit')), this.#options.limits.runMs)
    try {
      await this.#steps(recovery)
      this.#end({ reason: 'completed' })
    } catch (error) {
      const failure = this.#asFailure(error)
      if (failure === undefined) throw error
      this.#end({ reason: 'failed', error: failure })
    } finally {
      clearTimeout(timer)
    }
    await this.#ended()
  }

  async #begin(recovery: Recovery): Promise<void> {
    const { epoch, model, message, run, next, last } = this.#state
    const event: RunStarted = { type: 'run.started', run, epoch, mode: recovery.mode, model, message, next }
    const entry = await this.#options.log.append(this.#session.id, `run.${run}`, event, last)
    this.#state = Run.started(this.#state, entry.seq, fromParts(recovery.kept))
    if (recovery.mode === 'restart' && recovery.kept.length > 0) {
      // Readers dropped all of it: they get back the steps that are complete.
      const output = [...recovery.kept]
      const snapshot = { type: 'run.snapshot' as const, run, epoch, model, message, next, output, changes: true as const }
      const kept = await this.#options.log.append(this.#session.id, `run.${run}`, snapshot, entry.seq, { rollup: true })
      this.#state = { ...this.#state, last: kept.seq }
    }
  }

  /** Model calls and their tools, until the model has nothing more to do. */
  async #steps(recovery: Recovery): Promise<void> {
    const { model, system, limits } = this.#options
    if (recovery.settle) await this.#settleRecovered()
    const prompt: LanguageModelV3Prompt = buildPrompt(this.#session.state, this.#view(), {
      system,
      maxChars: limits.contextChars,
      keepReasoning: recovery.mode === 'continue' && !recovery.settle && model.prefill === 'exact',
    })
    if (recovery.settle) {
      this.#state = Run.nextStep(this.#state, this.#takeSteers(prompt))
      this.#pump()
    }
    for (;;) {
      if (this.#state.step >= limits.steps) throw new ModelFailure('step_limit')
      const names = new Map<string, string>()
      const finish = await this.#callModel(prompt, names)
      this.#state = Run.finished(this.#state, finish.usage)
      if (finish.reason !== 'tool-calls' && this.#steers().length === 0) return
      await this.#settle(finish, prompt, names)
      this.#state = Run.nextStep(this.#state, this.#takeSteers(prompt))
      this.#pump()
    }
  }

  /** Steering messages that came meanwhile join the prompt. @returns their ids */
  #takeSteers(prompt: LanguageModelV3Prompt): readonly string[] {
    const steers = this.#steers()
    for (const { event } of this.#session.state.messages) {
      if (!steers.includes(event.id)) continue
      this.#taken.add(event.id)
      prompt.push(userMessage(event))
    }
    return steers
  }

  /** Those that are not taken yet: the log may not have told us of our own taking. */
  #steers(): readonly string[] {
    return this.#view().steers.filter((message) => !this.#taken.has(message))
  }

  async #callModel(prompt: LanguageModelV3Prompt, names: Map<string, string>): Promise<ModelFinish> {
    const { model, limits, logger } = this.#options
    const tools = this.#tools()
    for (let attempt = 1; ; attempt += 1) {
      const before = this.#state.deltas
      try {
        const options = {
          prompt: [...prompt],
          ...(tools.length === 0 ? {} : { tools, toolChoice: { type: 'auto' as const } }),
          maxOutputTokens: Math.max(1, limits.outputTokens - this.#outputTokens()),
        }
        const sink = {
          text: (kind: Run.TextKind, delta: string) => this.#receive(kind, delta),
          call: (call: ModelToolCall) => this.#call(call, names),
        }
        return await callModel(model, options, limits, sink, this.#stop.signal)
      } catch (error) {
        const again =
          error instanceof ModelFailure &&
          error.retryable &&
          !this.#stop.signal.aborted &&
          this.#state.deltas === before &&
          attempt < limits.modelTries
        const wait = error instanceof ModelFailure ? (error.retryAfterMs ?? 500 * 2 ** attempt) : 0
        if (!again || wait > limits.modelWaitMs) throw error
        logger.info({ run: this.#run, code: error.code, attempt, wait }, 'model call is tried again')
        await sleep(wait, this.#stop.signal)
      }
    }
  }

  #tools(): LanguageModelV3FunctionTool[] {
    const { state } = this.#session
    const message = state.messages.find((candidate) => candidate.event.id === this.#view().message)?.event
    const client = (message?.tools ?? []).flatMap((name) => state.tools.get(name) ?? [])
    return [...this.#options.serverTools.values(), ...client].map((tool) => ({
      type: 'function',
      name: tool.name,
      ...(tool.description === undefined ? {} : { description: tool.description }),
      inputSchema: tool.inputSchema ?? { type: 'object' },
    }))
  }

  #receive(kind: Run.TextKind, delta: string): Promise<void> | undefined {
    this.#state = Run.received(this.#state, kind, delta)
    this.#pump()
    if (this.#outputTokens() > this.#options.limits.outputTokens) {
      this.#stop.abort(new ModelFailure('token_limit'))
    }
    if (this.#state.unsent < UNSENT_CHARS) return undefined
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  #outputTokens(): number {
    return Math.max(this.#state.deltas, this.#state.usage.outputTokens)
  }

  /** The model called a tool: the call goes to the log, and is kept until it has its result. */
  #call(call: ModelToolCall, names: Map<string, string>): string {
    const id = makeId('call')
    names.set(id, call.name)
    const input = parseInput(call.input)
    const { serverTools, limits } = this.#options
    const server = serverTools.get(call.name)
    const client = this.#clientTool(call.name)
    const approval = (server ?? client)?.approval ?? false
    const timeoutMs = server?.timeoutMs ?? client?.timeoutMs ?? limits.clientToolMs
    const until = Date.now() + (approval ? limits.approvalMs : timeoutMs)
    const problem = problemOf(call, input, server, client)
    this.#state = Run.called(this.#state, {
      type: 'call',
      call: id,
      name: call.name,
      input: input === undefined ? call.input : input,
      where: server === undefined && client !== undefined ? 'client' : 'server',
      // A call that cannot be made needs nobody's approval.
      approval: approval && problem === undefined,
      until,
    })
    this.#pump()
    const kept = this.#keep(id, problem)
    // Looked at again when the step settles; until then a rejection must not count as unhandled.
    kept.catch(() => undefined)
    this.#calls.push(kept)
    return id
  }

  async #keep(id: string, problem: string | undefined): Promise<void> {
    const signal = this.#stop.signal
    const { log, limits, serverTools, node, logger } = this.#options
    await this.#session.until((state) => findRun(state, this.#run)?.calls.get(id), signal)
    const options = { log, serverTools, logger, ...limits, owner: `${node}/${this.#state.epoch}` }
    if (problem !== undefined) await giveResult(options, this.#session, id, { error: problem })
    else await keepCall(options, this.#session, id, signal)
  }

  #clientTool(name: string): { approval?: boolean | undefined; timeoutMs?: number | undefined; inputSchema?: Record<string, unknown> | undefined } | undefined {
    const { state } = this.#session
    const message = state.messages.find((candidate) => candidate.event.id === this.#view().message)?.event
    return message?.tools?.includes(name) === true ? state.tools.get(name) : undefined
  }

  /** Waits for the results of the step's calls, and adds the step to the prompt. */
  async #settle(finish: ModelFinish, prompt: LanguageModelV3Prompt, names: ReadonlyMap<string, string>): Promise<void> {
    await Promise.all(this.#calls)
    this.#calls.length = 0
    this.#stop.signal.throwIfAborted()
    if (finish.content.length > 0) prompt.push({ role: 'assistant', content: finish.content })
    if (names.size > 0) prompt.push(this.#results(names))
  }

  /** A former owner made the calls: they are seen through before the prompt is built. */
  async #settleRecovered(): Promise<void> {
    this.#state = Run.finished(this.#state, { inputTokens: 0, outputTokens: 0 })
    const calls = [...this.#view().calls.values()].filter((call) => call.step === this.#state.step)
    await Promise.all(calls.map((call) => this.#keep(call.id, undefined)))
  }

  #results(names: ReadonlyMap<string, string>): LanguageModelV3Message {
    const { calls } = this.#view()
    return {
      role: 'tool',
      content: [...names].map(([id, name]) => ({
        type: 'tool-result',
        toolCallId: id,
        toolName: name,
        output: toolOutput(calls.get(id)?.result),
      })),
    }
  }

  get #usage(): Usage {
    return Run.usageSoFar(this.#state)
  }

  #view(): RunView {
    const view = findRun(this.#session.state, this.#run)
    if (view === undefined) throw STOPPED
    return view
  }

  /** The log changed: the run may have ended, or have another owner. */
  #look(): void {
    const view = findRun(this.#session.state, this.#run)
    if (this.#session.lost !== undefined) this.#stop.abort(new StorageError('unavailable', this.#session.lost))
    else if (view === undefined) return
    else if (view.phase === 'ended' || view.epoch > this.#state.epoch) this.#fence()
    else if (this.#held && !this.#session.isEnding(this.#run)) {
      this.#held = false
      this.#pump()
    }
  }

  #fence(): void {
    if (this.#state.phase === 'ended') return
    this.#state = Run.fenced(this.#state)
    this.#stop.abort(STOPPED)
    this.#release()
  }

  /** Appends what is next, unless something is in flight. */
  #pump(): void {
    if (this.#session.isEnding(this.#run)) {
      this.#held = true
      return
    }
    const next = Run.takeAppend(this.#state)
    if (next === undefined) {
      if (this.#state.inFlight === undefined || this.#state.unsent < UNSENT_CHARS) this.#release()
      return
    }
    if (this.#state.unsent < UNSENT_CHARS && this.#drained.length > 0) this.#release()
    this.#state = next.state
    const { subject, event, expect, rollup } = next.append
    this.#options.log.append(this.#session.id, subject, event, expect, { rollup }).then(
      (entry) => {
        this.#storageFailedAt = undefined
        this.#state = Run.appended(this.#state, entry.seq)
        this.#pump()
      },
      (error: unknown) => this.#refused(error),
    )
  }

  /** A conflict means that the run is over for us. A full or absent log may come back: hold on, within a bound. */
  #refused(error: unknown): void {
    if (this.#state.phase === 'ended') return
    const now = performance.now()
    this.#storageFailedAt ??= now
    if (!(error instanceof StorageError) || now - this.#storageFailedAt > this.#options.limits.storageWaitMs) {
      this.#state = Run.fenced(this.#state)
      this.#stop.abort(error instanceof Conflict ? STOPPED : error)
      this.#release()
      return
    }
    this.#state = Run.putBack(this.#state)
    if (this.#stop.signal.aborted) this.#release()
    setTimeout(() => this.#pump(), 250).unref()
  }

  /** Lets the model go on, or those who wait for the outbox to become empty. */
  #release(): void {
    const waiting = this.#drained
    this.#drained = []
    for (const resolve of waiting) resolve()
  }

  #end(end: Parameters<typeof Run.ending>[1]): void {
    this.#state = Run.ending(this.#state, end)
    this.#pump()
  }

  /** Resolves when `run.ended` is in the log, whoever put it there. */
  async #ended(): Promise<void> {
    while (this.#state.phase !== 'ended') await new Promise<void>((resolve) => this.#drained.push(resolve))
    const { reason } = this.#stop.signal
    if (reason instanceof StorageError) throw reason
  }

  /** Resolves when the outbox is empty, or nothing of it can be appended any more. */
  async #emptied(): Promise<void> {
    const busy = (): boolean =>
      this.#storageFailedAt === undefined && (this.#state.inFlight !== undefined || this.#state.outbox.length > 0)
    while (busy()) await new Promise<void>((resolve) => this.#drained.push(resolve))
  }

  /** The failure that ends the run; undefined when it is not the run that failed. */
  #asFailure(error: unknown): { code: ModelFailure['code']; message: string } | undefined {
    if (error instanceof ModelFailure) {
      this.#options.logger.warn({ err: error.cause, run: this.#run, code: error.code }, 'run failed')
      return { code: error.code, message: error.message }
    }
    const away = error === STOPPED || error === this.#stop.signal.reason || error instanceof StorageError
    if (away || error instanceof Conflict) return undefined
    this.#options.logger.error({ err: error, run: this.#run }, 'run failed inside the server')
    if (error instanceof ReplyError) return { code: error.code, message: error.message }
    return { code: 'internal', message: 'Something went wrong on the server.' }
  }
}

interface Checked {
  readonly inputSchema?: Record<string, unknown> | undefined
}

/** Why a call cannot be made, in words for the model. */
function problemOf(
  call: ModelToolCall,
  input: unknown,
  server: ServerTool | undefined,
  client: Checked | undefined,
): string | undefined {
  if (server === undefined && client === undefined) return `There is no tool named ${call.name.slice(0, 64)}.`
  if (input === undefined) return 'The input is not JSON.'
  const check = server === undefined ? checkValue(client?.inputSchema, toolInput(input)) : server.check(input)
  return check.ok ? undefined : `The input does not fit the tool's schema: ${check.problem}`
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
