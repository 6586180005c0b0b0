// ReplaySink: the ModelSink of an answer that this driver reads again from its beginning. It gives the driver what the log lacks.
import type { SharedV3Warning } from '@ai-sdk/provider'
import type { RelayedRequest } from '@parley/protocol'
import type { SessionReplica } from '../../session/session-replica.ts'
import { fromParts, type RunOutput, toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { findRun } from '../../session/state/session-state.ts'
import type { ModelToolCall } from '../model-answer.ts'
import type { ModelSink } from '../model-call.ts'
import type { RemoteOutput } from '../remote-output.ts'
import type { ModelExtra, RunExtras } from '../run-extras.ts'
import type { AboutRun, TextKind } from '../run-state.ts'
import type { RunTools } from '../run-tools.ts'
import { ReplayedRemote } from './replayed-remote.ts'
import { beforeStep, ReplayedStep } from './replayed-step.ts'

export interface ReplaySinkOptions {
  readonly session: Pick<SessionReplica, 'until'>
  /** Of the driver. */
  readonly sink: ModelSink
  readonly tools: Pick<RunTools, 'resumed'>
  readonly extras: Pick<RunExtras, 'resumed'>
  /** Of the driver, if the agent is a remote one. */
  readonly remote?: RemoteOutput | undefined
}

export class ReplaySink implements ModelSink {
  /** Of the run, when this driver started. */
  readonly output: RunOutput | undefined
  readonly remote: ReplayedRemote | undefined
  readonly #step: ReplayedStep
  readonly #options: ReplaySinkOptions

  private constructor(record: RunRecord, request: RelayedRequest, options: ReplaySinkOptions) {
    this.output = fromParts(toParts(record.output))
    this.#step = new ReplayedStep(record, request)
    this.#options = options
    this.remote = options.remote && new ReplayedRemote(options.remote, this.#step, record, (id) => this.#resume(id))
  }

  /**
   * Resolves when the session shows the start of this driver, and thus all calls of the earlier ones that count. Rejects with the
   * signal's reason.
   */
  static async open(
    { run, epoch, request }: AboutRun,
    options: ReplaySinkOptions,
    signal: AbortSignal,
  ): Promise<ReplaySink> {
    const record = await options.session.until((state) => {
      const found = findRun(state, run)
      return found !== undefined && found.epoch >= epoch ? found : undefined
    }, signal)
    return new ReplaySink(record, request as RelayedRequest, options)
  }

  get isStored(): boolean {
    return this.#step.isStored
  }

  text(kind: TextKind, delta: string): Promise<void> | undefined {
    const rest = this.#step.text(kind, delta)
    return rest === '' ? undefined : this.#options.sink.text(kind, rest)
  }

  extra(extra: ModelExtra): Promise<void> | undefined {
    const rest = this.#step.extra(extra)
    if (rest === undefined) return undefined
    if (rest.kind === 'input') this.#resume(rest.id)
    return this.#options.sink.extra(rest)
  }

  warned(warnings: readonly SharedV3Warning[]): void {
    this.#options.sink.warned(warnings)
  }

  async call(call: ModelToolCall): Promise<string> {
    const known = this.#step.call(call)
    if (known === undefined) {
      this.#resume(call.id)
      return this.#options.sink.call(call)
    }
    // It was not on offer when the agent made it.
    if (known.remote) this.#options.remote?.resumed(call.id, known)
    else this.#options.tools.resumed(known)
    return known.id
  }

  /** @returns the run without the answer */
  before(run: RunRecord): RunRecord {
    return beforeStep(run, this.#step.request)
  }

  /** The answer is complete. @throws ReplayMismatch if the log has more */
  end(): void {
    this.#step.end()
  }

  /** If the log has a part of the call's arguments, the call keeps its id. */
  #resume(id: string): void {
    const call = this.#step.idOf(id)
    if (call !== undefined) this.#options.extras.resumed(id, call)
  }
}
