// RunsUnderWay: which runs of each user are not over, on all nodes, as far as this one has heard. Pure but for its maps: time is
// given. A run of which nobody speaks any more is forgotten. What is heard of a run just after its end was said before it; what is
// heard later is of somebody who goes on with it. Of those that ended a bounded number is remembered.
export class RunsUnderWay {
  readonly #keptMs: number
  readonly #byUser = new Map<string, Map<string, number>>()
  /** When it was said of a run. */
  readonly #over = new Map<string, number>()

  /** @param keptMs milliseconds for which a run is known after it was last spoken of */
  constructor(keptMs: number) {
    this.#keptMs = keptMs
  }

  on(user: string, run: string, now: number): void {
    if (now - (this.#over.get(run) ?? Number.NEGATIVE_INFINITY) < LATE_MS) return
    const runs = this.#byUser.get(user) ?? new Map<string, number>()
    this.#byUser.set(user, runs)
    runs.set(run, now + this.#keptMs)
  }

  off(user: string, run: string, now: number): void {
    this.#over.delete(run)
    this.#over.set(run, now)
    if (this.#over.size > REMEMBERED) {
      const [oldest] = this.#over.keys()
      if (oldest !== undefined) this.#over.delete(oldest)
    }
    this.#drop(user, run)
  }

  /** It is driven here. */
  again(user: string, run: string, now: number): void {
    this.#over.delete(run)
    this.on(user, run, now)
  }

  has(user: string, run: string): boolean {
    return this.#byUser.get(user)?.has(run) === true
  }

  count(user: string, now: number): number {
    for (const [run, until] of this.#byUser.get(user) ?? []) if (until <= now) this.#drop(user, run)
    return this.#byUser.get(user)?.size ?? 0
  }

  /** Forgets all of whom nobody has spoken for too long. */
  sweep(now: number): void {
    for (const user of [...this.#byUser.keys()]) this.count(user, now)
  }

  #drop(user: string, run: string): void {
    const runs = this.#byUser.get(user)
    runs?.delete(run)
    if (runs?.size === 0) this.#byUser.delete(user)
  }
}

/** Milliseconds for which what was said before the end of a run may come after it. */
const LATE_MS = 1_000
/** Runs that are over. */
const REMEMBERED = 10_000
