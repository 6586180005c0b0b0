// RunAppender: takes what a run's owner has to say to the log, one append at a time, and knows when that is
// over: the run has ended, belongs to another owner, or the log was away for too long. The state is in
// run-state.ts; here is the I/O of it.

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
  /** Milliseconds that appends are tried again while the log cannot be written. */
  readonly storageWaitMs: number
  /** Called once, when nothing more of this owner can be appended; with what stands in the way, if anything does. */
  readonly stopped: (problem: unknown) => void
  readonly meter?: RunMeter | undefined
}

/** UTF-16 code units that wait for the log before the model is held back. */
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
  /** Somebody tries to end the run: nothing is appended until that is done. */
  #held = false
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
    this.#unsubscribe = options.session.subscribe((entries) => this.#look(entries))
  }

  get state(): Run.RunState {
    return this.#state
  }

  /** Makes a transition, and appends what it brings. */
  apply(transition: (state: Run.RunState) => Run.RunState): void {
    this.#state = transition(this.#state)
    this.#pump()
  }

  /** @returns the state with it */
  receive(kind: Run.TextKind, delta: string): Run.RunState {
    const passed = this.#mayAppend() ? Run.passedOn(this.#state, kind, delta) : undefined
    if (passed !== undefined) {
      this.#state = passed
      this.#submit()
      return passed
    }
    const state = Run.received(this.#state, kind, delta)
    this.#state = state
    // While one is in flight this one waits for it anyway.
    if (state.inFlight === undefined) this.#pump()
    return state
  }

  /** Undefined while there is room for more; else resolves when there is again. */
  room(): Promise<void> | undefined {
    if (this.#state.unsent < UNSENT_CHARS) return undefined
    return this.#change()
  }

  /** Resolves when the run has ended, or nothing can be appended any more. */
  async ended(): Promise<void> {
    while (this.#state.phase !== 'ended') await this.#change()
  }

  /** Resolves when all has gone out, or the log is away. */
  async emptied(): Promise<void> {
    const busy = (): boolean =>
      this.#failedAt === undefined && (this.#state.inFlight !== undefined || this.#state.outbox.length > 0)
    while (busy()) await this.#change()
  }

  /** Nothing more is appended. */
  close(): void {
    this.#unsubscribe()
    this.#state = Run.fenced(this.#state)
    this.#release()
  }

  /** The log's listener. */
  appended(entry: Entry): void {
    this.#failedAt = undefined
    if (this.#state.inFlight?.type === 'text') this.#meter?.stored(entry.time)
    this.#state = Run.appended(this.#state, entry.seq)
    this.#pump()
  }

  /** A conflict means that the run is over for us. A full or absent log may come back: hold on, within a bound. */
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

  /** The log changed: the run may have ended, or have another owner. */
  #look(entries: readonly Entry[]): void {
    // Its own outputs come back to it all the time, and tell it nothing.
    if (this.#areOutputs(entries)) return
    const session = this.#session
    if (session.lost !== undefined) return this.#stop(new StorageError('unavailable', session.lost))
    const view = findRun(session.state, this.#run)
    if (view === undefined) return
    if (view.phase === 'ended' || view.epoch > this.#state.about.epoch) this.#stop(undefined)
    else if (this.#held && !session.isEnding(this.#run)) {
      this.#held = false
      this.#pump()
    }
  }

  #areOutputs(entries: readonly Entry[]): boolean {
    for (const { subject, event } of entries) {
      if (event.type !== 'run.output' || subject !== this.#subject) return false
    }
    return entries.length > 0
  }

  /** Appends what is next, unless something is in flight. */
  #pump(): void {
    if (!this.#mayAppend()) return
    const taken = Run.take(this.#state)
    const isNext = taken !== this.#state
    if (this.#waiting.length > 0 && (!isNext || this.#state.unsent < UNSENT_CHARS)) this.#release()
    if (!isNext) return
    this.#state = taken
    this.#submit()
  }

  /** False while somebody tries to end the run; it is looked at again when that is done. */
  #mayAppend(): boolean {
    if (!this.#session.isEnding(this.#run)) return true
    this.#held = true
    return false
  }

  /** Gives the log what is in flight. */
  #submit(): void {
    const append = Run.inFlight(this.#state)
    if (append === undefined) return
    const { call, event, expect, rollup } = append
    if (this.#meter !== undefined && !Run.holdsText(this.#state)) this.#meter.gave(this.#state.deltas)
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
