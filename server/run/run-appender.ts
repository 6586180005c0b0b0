// RunAppender: appends a driver's output to the log, one append at a time. It stops when the run has ended, when another driver
// has taken the run over, or when the log was unavailable for too long. run-state.ts holds the state; this file does the I/O.
import type { RunMeter } from '../metric/run-meter.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { findRun } from '../session/state/session-state.ts'
import type { Entry } from '../store/ports/entry.ts'
import { Conflict, StorageError } from '../store/ports/errors.ts'
import type { AppendListener, LogWriter, SessionLog } from '../store/ports/session-log.ts'
import * as Run from './run-state.ts'

export interface RunAppenderOptions {
  readonly log: SessionLog
  readonly session: SessionReplica
  /** Retry appends for this long while the log cannot be written (ms). */
  readonly storageWaitMs: number
  /** Called once, when this driver can append nothing more; with the reason, if it is an error. */
  readonly stopped: (problem: unknown) => void
  readonly meter?: RunMeter | undefined
}

/** Pause the model while this many UTF-16 code units wait for the log. */
const UNSENT_CHARS = 64 * 1024
const RETRY_MS = 250
const ROLLUP = { rollup: true }

export class RunAppender implements AppendListener {
  readonly #options: RunAppenderOptions
  readonly #log: SessionLog
  readonly #writer: LogWriter
  readonly #session: SessionReplica
  readonly #run: string
  readonly #subject: string
  readonly #meter: RunMeter | undefined
  #state: Run.RunState
  #waiting: (() => void)[] = []
  #failedAt: number | undefined
  /** A cancel is in progress: append nothing until it is done. */
  #yielding = false
  #unsubscribe: () => void

  constructor(options: RunAppenderOptions, state: Run.RunState) {
    this.#options = options
    const { log, session } = options
    this.#log = log
    this.#session = session
    this.#meter = options.meter
    this.#state = state
    this.#run = state.about.run
    this.#subject = `run.${state.about.run}`
    this.#writer = log.writer(session.id, this.#subject)
    this.#unsubscribe = options.session.subscribe((entries) => this.#onEntries(entries))
  }

  get state(): Run.RunState {
    return this.#state
  }

  /** Makes a transition and appends its result. */
  apply(transition: (state: Run.RunState) => Run.RunState): void {
    this.#state = transition(this.#state)
    this.#pump()
  }

  /** Adds a delta of the model. @returns the new state */
  receive(kind: Run.TextKind, delta: string): Run.RunState {
    const passed = this.#mayAppend() ? Run.receivedAndTaken(this.#state, kind, delta) : undefined
    if (passed !== undefined) {
      this.#state = passed
      this.#submit()
      return passed
    }
    const state = Run.received(this.#state, kind, delta)
    this.#state = state
    // An append in flight triggers the next one itself.
    if (state.inFlight === undefined) this.#pump()
    return state
  }

  /** Adds an output that is not text. */
  give(extra: Run.Extra): void {
    this.apply((state) => Run.given(state, extra))
  }

  /** Undefined while there is room for more text; otherwise resolves when there is. */
  whenWritable(): Promise<void> | undefined {
    if (this.#state.unsent < UNSENT_CHARS) return undefined
    return this.#change()
  }

  /** Resolves when the run has ended, or nothing more can be appended. */
  async ended(): Promise<void> {
    await this.reached(() => false)
  }

  /** Resolves when everything is appended, or the log is unavailable. */
  async flushed(): Promise<void> {
    const busy = (): boolean =>
      this.#failedAt === undefined && (this.#state.inFlight !== undefined || this.#state.outbox.length > 0)
    while (busy()) await this.#change()
  }

  /** Resolves when the condition holds, or nothing more can be appended. */
  async reached(isReached: (state: Run.RunState) => boolean): Promise<void> {
    while (!isReached(this.#state) && this.#state.phase !== 'ended') await this.#change()
  }

  /** Appends nothing more. */
  close(): void {
    this.#unsubscribe()
    this.#state = Run.fenced(this.#state)
    this.#release()
  }

  /** Of AppendListener. */
  appended(entry: Entry): void {
    this.#failedAt = undefined
    if (this.#state.inFlight?.type === 'text') this.#meter?.stored(entry.time)
    this.#state = Run.appended(this.#state, entry.seq)
    this.#pump()
  }

  /** A conflict means that the run has ended or moved. A full or unavailable log may recover, so retry for a limited time. */
  refused(error: unknown): void {
    if (this.#state.phase === 'ended') return
    if (error instanceof Conflict) return this.#stop(undefined)
    const now = performance.now()
    this.#failedAt ??= now
    if (!(error instanceof StorageError) || now - this.#failedAt > this.#options.storageWaitMs) return this.#stop(error)
    this.#state = Run.putBack(this.#state)
    this.#release()
    setTimeout(() => this.#pump(), RETRY_MS).unref()
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** The log changed: the run may have ended, or have another driver. */
  #onEntries(entries: readonly Entry[]): void {
    // Ignore outputs, also those of other runs: they end nothing.
    if (areOutputs(entries)) return
    const session = this.#session
    if (session.lost !== undefined) return this.#stop(new StorageError('unavailable', session.lost))
    const record = findRun(session.state, this.#run)
    if (record === undefined) return
    if (record.phase === 'ended' || record.epoch > this.#state.about.epoch) this.#stop(undefined)
    else if (this.#yielding && !session.isEnding(this.#run)) {
      this.#yielding = false
      this.#pump()
    }
  }

  /** Appends the next item, unless one is in flight. */
  #pump(): void {
    if (!this.#mayAppend()) return
    const taken = Run.take(this.#state)
    const isNext = taken !== this.#state
    if (this.#waiting.length > 0 && (!isNext || this.#state.unsent < UNSENT_CHARS)) this.#release()
    if (!isNext) return
    this.#state = taken
    this.#submit()
  }

  /** False while a cancel is in progress; `#onEntries` continues after it. */
  #mayAppend(): boolean {
    if (!this.#session.isEnding(this.#run)) return true
    this.#yielding = true
    return false
  }

  /** Submits the item in flight to the log. */
  #submit(): void {
    const append = Run.inFlight(this.#state)
    if (append === undefined) return
    const { call, event, expect, rollup } = append
    if (this.#meter !== undefined && !Run.hasWaitingText(this.#state)) this.#meter.gave(this.#state.deltas)
    const writer = call === undefined ? this.#writer : this.#log.writer(this.#session.id, `tool.${call}`)
    writer.submit(event, expect, this, rollup ? ROLLUP : undefined)
  }

  #stop(problem: unknown): void {
    if (this.#state.phase === 'ended') return
    this.#state = Run.fenced(this.#state)
    this.#options.stopped(problem)
    this.#release()
  }

  #release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

function areOutputs(entries: readonly Entry[]): boolean {
  for (const { event } of entries) if (event.type !== 'run.output') return false
  return entries.length > 0
}
