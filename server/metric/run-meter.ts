// RunMeter: what one owner of a run counts while tokens flow: plain numbers, three comparisons for an output. They become
// metrics at the first token and when the owner is done, and at no token between.
import type { RunLabels } from './labels.ts'

/** What a meter's numbers become. */
export interface RunMeterSink {
  firstToken(labels: RunLabels, model: string, seconds: number): void
  takenOver(labels: RunLabels, seconds: number): void
  ownerDone(labels: RunLabels, model: string, pace: Pace): void
}

/** For an owner of whom nothing is to be counted. */
export const UNCOUNTED: RunMeterSink = {
  firstToken: () => undefined,
  takenOver: () => undefined,
  ownerDone: () => undefined,
}

export interface Pace {
  /** Of one token after the first of its model call; undefined where there was none. */
  readonly secondsPerToken: number | undefined
  /** The longest wait for an output within a model call. */
  readonly longestSeconds: number | undefined
  /** Tokens that the model gave and nobody will see. */
  readonly wasted: number
}

export interface MeteredRun {
  readonly labels: RunLabels
  readonly model: string
  /** Unix milliseconds at which its message was stored, where that is known. */
  readonly sentAt: number | undefined
  /** An owner before has brought forth outputs. */
  readonly hasSpoken: boolean
  /** Unix milliseconds of the last that is stored of an owner who was lost. */
  readonly silentSince: number | undefined
  /** Told of the first output of each model call, when the log has it. */
  readonly spoke?: (() => void) | undefined
}

export class RunMeter {
  readonly #sink: RunMeterSink
  readonly #run: MeteredRun
  #hasBegun = false
  /** Unix milliseconds, by the log's clock; 0: the next output follows none. */
  #lastAt = 0
  #spanMs = 0
  #longestMs = 0
  #starts = 0
  #deltas = 0
  /** Deltas up to the last that was given to the log, and up to the last that it has. */
  #given = 0
  #stored = 0

  constructor(sink: RunMeterSink, run: MeteredRun) {
    this.#sink = sink
    this.#run = run
  }

  /** All deltas up to this one are with the log, or in it. */
  gave(deltas: number): void {
    this.#given = deltas
  }

  /** The log has an output. @param time of its entry */
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

  /** What comes next is of another model call. */
  nextCall(): void {
    this.#lastAt = 0
  }

  /**
   * The owner is done.
   * @param deltas that the model gave it
   * @param isUnwanted the run was ended by a person: what was not stored was for nothing
   */
  done(deltas: number, isUnwanted: boolean): void {
    this.#deltas = deltas
    const followers = this.#stored - this.#starts
    const hasPace = this.#starts > 0 && followers > 0
    this.#sink.ownerDone(this.#run.labels, this.#run.model, {
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
