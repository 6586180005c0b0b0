// RunQuota: limits the queued and active runs of a user, over all nodes. A node that admits or drives a run announces it
// at once and then repeatedly; no node is asked. A dead node announces nothing, so its runs are forgotten, unless another
// node drives them by then.
import { ReplyError } from '@parley/protocol'
import type { NoticedRun, RunNotices } from '../store/ports/run-notices.ts'
import { userKey } from '../store/ports/session-directory.ts'
import type { Subscription } from '../store/ports/session-log.ts'
import { ActiveRuns } from './active-runs.ts'

export interface RunQuotaOptions {
  /** Runs of a user whose access token sets no limit. Undefined: any number. */
  readonly most: number | undefined
  /** Undefined on a single node. */
  readonly notices?: RunNotices | undefined
  /** Milliseconds between two announcements of the runs that this node drives; default 5,000. */
  readonly repeatMs?: number
}

const REPEAT_MS = 5_000
/** Announcements that may be lost before a run is forgotten. */
const REPEATS = 3
/** Milliseconds in which announcements are gathered. */
const GATHER_MS = 10
const RETRY_AFTER_MS = 2_000

export class RunQuota {
  readonly #options: RunQuotaOptions
  readonly #all: ActiveRuns
  /** Runs that this node drives, or that wait here for an earlier run: by run, the user's key. */
  readonly #driven = new Map<string, string>()
  readonly #subscription: Subscription | undefined
  #on = new Map<string, string>()
  #off = new Map<string, string>()
  #gathering: NodeJS.Timeout | undefined
  readonly #timer: NodeJS.Timeout

  constructor(options: RunQuotaOptions) {
    const repeatMs = options.repeatMs ?? REPEAT_MS
    this.#options = options
    this.#all = new ActiveRuns(repeatMs * REPEATS)
    this.#subscription = options.notices?.onNotified(({ on, off }) => {
      const now = performance.now()
      for (const [user, run] of on) this.#all.announce(user, run, now)
      for (const [user, run] of off) this.#endedElsewhere(user, run, now)
    })
    this.#timer = setInterval(() => this.#repeat(), repeatMs).unref()
  }

  /**
   * Admits a new run.
   * @param most the limit in the user's access token
   * @param replaces runs of the user that the new one ends
   * @throws ReplyError too_many_runs
   */
  acquire(user: string, run: string, most: number | undefined, replaces = 0): void {
    const limit = this.mostOf(most)
    const key = userKey(user)
    const now = performance.now()
    if (limit !== undefined && this.#all.count(key, now) - replaces >= limit) {
      throw new ReplyError('too_many_runs', undefined, { retryAfterMs: RETRY_AFTER_MS })
    }
    this.#all.announce(key, run, now)
    this.#notify(this.#on, run, key)
  }

  /** The admitted run was not started. */
  release(user: string, run: string): void {
    const key = userKey(user)
    if (this.#driven.has(run)) return
    this.#all.end(key, run, performance.now())
    this.#on.delete(run)
    this.#notify(this.#off, run, key)
  }

  /** This node took the run from the queue. */
  began(user: string, run: string): void {
    const key = userKey(user)
    this.#driven.set(run, key)
    this.#all.resume(key, run, performance.now())
    this.#off.delete(run)
    this.#notify(this.#on, run, key)
  }

  /** This node no longer drives the run. */
  ended(user: string, run: string): void {
    this.#driven.delete(run)
    this.release(user, run)
  }

  count(user: string): number {
    return this.#all.count(userKey(user), performance.now())
  }

  /** @param most the limit in the user's access token @returns the limit that applies; undefined: any number */
  mostOf(most: number | undefined): number | undefined {
    return most ?? this.#options.most
  }

  close(): void {
    clearInterval(this.#timer)
    if (this.#gathering !== undefined) {
      clearTimeout(this.#gathering)
      this.#flush()
    }
    this.#subscription?.close()
  }

  #endedElsewhere(user: string, run: string, now: number): void {
    // The previous driver announces its end of a run that this node drives by now.
    if (this.#driven.has(run)) return
    this.#on.delete(run)
    this.#all.end(user, run, now)
  }

  #notify(list: Map<string, string>, run: string, key: string): void {
    if (this.#options.notices === undefined) return
    list.set(run, key)
    this.#gathering ??= setTimeout(() => this.#flush(), GATHER_MS)
  }

  #flush(): void {
    this.#gathering = undefined
    const [on, off] = [rowsOf(this.#on), rowsOf(this.#off)]
    this.#on = new Map()
    this.#off = new Map()
    this.#options.notices?.notify({ on, off })
  }

  #repeat(): void {
    const now = performance.now()
    for (const [run, key] of this.#driven) this.#all.announce(key, run, now)
    this.#all.sweep(now)
    if (this.#driven.size > 0) this.#options.notices?.notify({ on: rowsOf(this.#driven), off: [] })
  }
}

function rowsOf(runs: ReadonlyMap<string, string>): readonly NoticedRun[] {
  return Array.from(runs, ([run, key]) => [key, run] as const)
}
