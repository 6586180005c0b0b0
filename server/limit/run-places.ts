// RunPlaces: how many runs of a user may be under way at once, on all nodes together. Whoever lets one begin, and whoever drives
// one, tells the others at once and then again and again; nobody is asked. A node that dies is silent, and its runs are
// forgotten, or are another's by then.
import { ReplyError } from '@parley/protocol'
import type { NoticedRun, RunNotices } from '../store/ports/run-notices.ts'
import { userKey } from '../store/ports/session-directory.ts'
import type { Subscription } from '../store/ports/session-log.ts'
import { RunsUnderWay } from './runs-under-way.ts'

export interface RunPlacesOptions {
  /** Runs of a user whose token says nothing of them; undefined: any number. */
  readonly most: number | undefined
  /** Left out: there is no other node. */
  readonly notices?: RunNotices | undefined
  /** Milliseconds between two times that what is driven here is told; default 5,000. */
  readonly repeatMs?: number
}

const REPEAT_MS = 5_000
/** Notices that may be lost before a run is forgotten. */
const REPEATS = 3
/** Milliseconds in which what is to be told is gathered. */
const GATHER_MS = 10
const COME_BACK_MS = 2_000

export class RunPlaces {
  readonly #options: RunPlacesOptions
  readonly #all: RunsUnderWay
  /** Runs that are driven here, or wait here for their turn: by run, the user's key. */
  readonly #driven = new Map<string, string>()
  readonly #told: Subscription | undefined
  #on = new Map<string, string>()
  #off = new Map<string, string>()
  #gathering: NodeJS.Timeout | undefined
  readonly #timer: NodeJS.Timeout

  constructor(options: RunPlacesOptions) {
    const repeatMs = options.repeatMs ?? REPEAT_MS
    this.#options = options
    this.#all = new RunsUnderWay(repeatMs * REPEATS)
    this.#told = options.notices?.onTold(({ on, off }) => {
      const now = performance.now()
      for (const [user, run] of on) this.#all.on(user, run, now)
      for (const [user, run] of off) this.#heardOff(user, run, now)
    })
    this.#timer = setInterval(() => this.#repeat(), repeatMs).unref()
  }

  /**
   * Lets a run begin.
   * @param most of the user's own
   * @param replaces runs of the user that it ends
   * @throws ReplyError too_many_runs
   */
  enter(user: string, run: string, most: number | undefined, replaces = 0): void {
    const bound = most ?? this.#options.most
    const key = userKey(user)
    const now = performance.now()
    if (bound !== undefined && this.#all.count(key, now) - replaces >= bound) {
      throw new ReplyError('too_many_runs', undefined, { retryAfterMs: COME_BACK_MS })
    }
    this.#all.on(key, run, now)
    this.#tell(this.#on, run, key)
  }

  /** Nothing came of it. */
  leave(user: string, run: string): void {
    const key = userKey(user)
    if (this.#driven.has(run)) return
    this.#all.off(key, run, performance.now())
    this.#on.delete(run)
    this.#tell(this.#off, run, key)
  }

  /** This node has the run. */
  began(user: string, run: string): void {
    const key = userKey(user)
    this.#driven.set(run, key)
    this.#all.again(key, run, performance.now())
    this.#off.delete(run)
    this.#tell(this.#on, run, key)
  }

  /** This node has it no more. */
  ended(user: string, run: string): void {
    this.#driven.delete(run)
    this.leave(user, run)
  }

  count(user: string): number {
    return this.#all.count(userKey(user), performance.now())
  }

  /** How many may be at once; undefined: any number. */
  mostOf(most: number | undefined): number | undefined {
    return most ?? this.#options.most
  }

  close(): void {
    clearInterval(this.#timer)
    if (this.#gathering !== undefined) {
      clearTimeout(this.#gathering)
      this.#flush()
    }
    this.#told?.close()
  }

  #heardOff(user: string, run: string, now: number): void {
    // Its owner before says so, and this node drives it by now.
    if (this.#driven.has(run)) return
    this.#on.delete(run)
    this.#all.off(user, run, now)
  }

  #tell(list: Map<string, string>, run: string, key: string): void {
    if (this.#options.notices === undefined) return
    list.set(run, key)
    this.#gathering ??= setTimeout(() => this.#flush(), GATHER_MS)
  }

  #flush(): void {
    this.#gathering = undefined
    const [on, off] = [rowsOf(this.#on), rowsOf(this.#off)]
    this.#on = new Map()
    this.#off = new Map()
    this.#options.notices?.tell({ on, off })
  }

  #repeat(): void {
    const now = performance.now()
    for (const [run, key] of this.#driven) this.#all.on(key, run, now)
    this.#all.sweep(now)
    if (this.#driven.size > 0) this.#options.notices?.tell({ on: rowsOf(this.#driven), off: [] })
  }
}

function rowsOf(runs: ReadonlyMap<string, string>): readonly NoticedRun[] {
  return Array.from(runs, ([run, key]) => [key, run] as const)
}
