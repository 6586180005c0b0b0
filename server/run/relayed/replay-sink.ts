// ReplaySink: the ModelSink of an answer that this driver reads again from its beginning. It gives the driver what the log lacks.
import type { SharedV3Warning } from '@ai-sdk/provider'
import type { RunRecord } from '../../session/state/run-record.ts'
import type { ModelToolCall } from '../model-answer.ts'
import type { ModelSink } from '../model-call.ts'
import type { ModelExtra, RunExtras } from '../run-extras.ts'
import type { TextKind } from '../run-state.ts'
import type { RunTools } from '../run-tools.ts'
import { beforeStep, type ReplayedStep } from './replayed-step.ts'

export interface ReplaySinkOptions {
  /** Of the driver. */
  readonly sink: ModelSink
  readonly tools: Pick<RunTools, 'resumed'>
  readonly extras: Pick<RunExtras, 'resumed'>
}

export class ReplaySink implements ModelSink {
  readonly #step: ReplayedStep
  readonly #options: ReplaySinkOptions

  constructor(step: ReplayedStep, options: ReplaySinkOptions) {
    this.#step = step
    this.#options = options
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
    this.#options.tools.resumed(known)
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
