// ActiveRuns: the queued and active runs of each user on all nodes, as far as this node knows. Time is a parameter.
// A run is forgotten when no node has announced it for a while. An announcement just after the end of a run was sent
// before it, and is ignored; a later one comes from a node that continues the run. Ended runs are remembered up to a limit.
export class ActiveRuns {
  readonly #keptMs: number
  /** By user and run: the time at which the run is forgotten. */
  readonly #byUser = new Map<string, Map<string, number>>()
  /** By run: the time of its end. */
  readonly #ended = new Map<string, number>()

  /** @param keptMs milliseconds after its last announcement at which a run is forgotten */
  constructor(keptMs: number) {
    this.#keptMs = keptMs
  }

  announce(user: string, run: string, now: number): void {
    if (now - (this.#ended.get(run) ?? Number.NEGATIVE_INFINITY) < LATE_MS) return
    const runs = this.#byUser.get(user) ?? new Map<string, number>()
    this.#byUser.set(user, runs)
    runs.set(run, now + this.#keptMs)
  }

  end(user: string, run: string, now: number): void {
    this.#ended.delete(run)
    this.#ended.set(run, now)
    if (this.#ended.size > MAX_ENDED) {
      const [oldest] = this.#ended.keys()
      if (oldest !== undefined) this.#ended.delete(oldest)
    }
    this.#drop(user, run)
  }

  /** This node drives the run, whatever was announced before. */
  resume(user: string, run: string, now: number): void {
    this.#ended.delete(run)
    this.announce(user, run, now)
  }

  has(user: string, run: string): boolean {
    return this.#byUser.get(user)?.has(run) === true
  }

  count(user: string, now: number): number {
    for (const [run, until] of this.#byUser.get(user) ?? []) if (until <= now) this.#drop(user, run)
    return this.#byUser.get(user)?.size ?? 0
  }

  /** Forgets every run that was not announced for too long. */
  sweep(now: number): void {
    for (const user of [...this.#byUser.keys()]) this.count(user, now)
  }

  #drop(user: string, run: string): void {
    const runs = this.#byUser.get(user)
    runs?.delete(run)
    if (runs?.size === 0) this.#byUser.delete(user)
  }
}

/** Milliseconds after the end of a run in which earlier announcements of it may still arrive. */
const LATE_MS = 1_000
const MAX_ENDED = 10_000
