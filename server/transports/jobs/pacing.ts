// Pacing: after how long somebody who waits for a job should ask again. Grows with the job's age, so that whoever waits
// for long asks seldom and learns of the end late only by a part of what he has waited; and with the node's load. Pure.
import type { JobState } from '@parley/protocol'

/** How this node is. */
export interface NodeLoad {
  /** Clients who are told to come back later than now. */
  readonly expected: number
  /** Runs that are driven, as a part of those that may be; 0 where none is driven here. */
  readonly busy: number
  /** Milliseconds by which the event loop lags. */
  readonly lagMs: number
}

export interface WaitingJob {
  readonly state: JobState
  /** Milliseconds since its message. */
  readonly ageMs: number
  /** Runs of its session that come before it. */
  readonly ahead: number
}

/** Milliseconds. */
const SHORTEST_MS = 1_000
const LONGEST_MS = 60_000
/** Without a load it is no longer than this. */
const CALM_MS = 20_000
/** A part of the job's age. */
const AGE_PART = 0.2
/** Polls a second that one node is to get. */
const POLLS_PER_S = 400
/** Milliseconds of lag that double the time. */
const LAG_MS = 50
const LAG_FACTOR_MAX = 2

/** Milliseconds, as a mean: to be spread around it. */
export function pollMeanMs(job: WaitingJob, load: NodeLoad): number {
  const byAge = clamp(SHORTEST_MS + Math.max(0, job.ageMs) * AGE_PART, SHORTEST_MS, CALM_MS)
  const byState = byAge * stateFactor(job)
  const byNode = byState * (1 + clamp(load.busy, 0, 1)) * Math.min(LAG_FACTOR_MAX, 1 + Math.max(0, load.lagMs) / LAG_MS)
  // However young the jobs are: all who wait here together ask no more often than this.
  const byCrowd = (load.expected * 1000) / POLLS_PER_S
  return clamp(Math.max(byNode, byCrowd), SHORTEST_MS, LONGEST_MS)
}

function stateFactor({ state, ahead }: WaitingJob): number {
  // People are slower than models.
  if (state === 'waiting') return 2
  return state === 'queued' ? 1 + Math.min(ahead, 4) / 2 : 1
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}
