// RunMeter: counts the outputs of one driver of a run in plain numbers, with three comparisons per output. They become
// metrics at the first token and when the driver is done, not per token.
import type { RunLabels } from './labels.ts'

/** Receives the results of a meter. */
export interface RunMeterSink {
  firstToken(labels: RunLabels, model: string, seconds: number): void
  takenOver(labels: RunLabels, seconds: number): void
  driverDone(labels: RunLabels, model: string, pace: Pace): void
}

/** For a driver that is not measured. */
export const UNCOUNTED: RunMeterSink = {
  firstToken: () => undefined,
  takenOver: () => undefined,
  driverDone: () => undefined,
}

export interface Pace {
  /** Mean time per token after the first one of its model call; undefined if there was none. */
  readonly secondsPerToken: number | undefined
  /** Longest time between two outputs of a model call. */
  readonly longestSeconds: number | undefined
  /** Tokens that the model produced and that were never stored. */
  readonly wasted: number
}

export interface MeteredRun {
  readonly labels: RunLabels
  readonly model: string
  /** Unix milliseconds at which its message was stored, if known. */
  readonly sentAt: number | undefined
  /** Whether an earlier driver produced outputs. */
  readonly hasSpoken: boolean
  /** Unix milliseconds of the last stored entry of a lost driver. */
  readonly silentSince: number | undefined
  /** Called when the first output of each model call is stored. */
  readonly spoke?: (() => void) | undefined
}

export class RunMeter {
  readonly #sink: RunMeterSink
  readonly #run: MeteredRun
  #hasBegun = false
  /** Unix milliseconds by the clock of the log; 0: the next output is the first one of its model call. */
  #lastAt = 0
  #spanMs = 0
  #longestMs = 0
  #starts = 0
  #deltas = 0
  /** Deltas that were passed to the log, and deltas that it has stored. */
  #given = 0
  #stored = 0

  constructor(sink: RunMeterSink, run: MeteredRun) {
    this.#sink = sink
    this.#run = run
  }

  /** The deltas up to this count were passed to the log. */
  gave(deltas: number): void {
    this.#given = deltas
  }

  /** The log stored an output. @param time of its entry, in Unix milliseconds */
  stored(time: number): void {
    this.#stored = this.#given
    const last = this.#lastAt
    this.#lastAt = time
    if (last === 0) {
      this.#begin(time)
      return
    }
    const gap = time - last
    this.#spanMs += gap
    if (gap > this.#longestMs) this.#longestMs = gap
  }

  /** The next output belongs to another model call. */
  nextCall(): void {
    this.#lastAt = 0
  }

  /**
   * The driver is done.
   * @param deltas the number of deltas that the model produced
   * @param isUnwanted whether a person ended the run, so that unstored deltas were wasted
   */
  done(deltas: number, isUnwanted: boolean): void {
    this.#deltas = deltas
    const followers = this.#stored - this.#starts
    const hasPace = this.#starts > 0 && followers > 0
    this.#sink.driverDone(this.#run.labels, this.#run.model, {
      secondsPerToken: hasPace ? this.#spanMs / followers / 1000 : undefined,
      longestSeconds: hasPace ? this.#longestMs / 1000 : undefined,
      wasted: isUnwanted ? Math.max(0, this.#deltas - this.#stored) : 0,
    })
  }

  #begin(time: number): void {
    this.#starts += 1
    this.#run.spoke?.()
    if (this.#hasBegun) return
    this.#hasBegun = true
    const { labels, model, sentAt, hasSpoken, silentSince } = this.#run
    if (!hasSpoken && sentAt !== undefined) this.#sink.firstToken(labels, model, Math.max(0, time - sentAt) / 1000)
    if (silentSince !== undefined) this.#sink.takenOver(labels, Math.max(0, time - silentSince) / 1000)
  }
}
