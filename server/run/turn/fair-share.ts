// FairShare: limits the runs of one user that this node drives at the same time, including those of agents that its agents ask.
// A run without a place waits. A run that waits for something gives its place to another one.
import type { Idle } from '../../store/ports/run-queue.ts'

interface Places {
  taken: number
  /** Runs that wait for a place, in the order in which they asked. */
  readonly waiting: Set<() => void>
}

export class FairShare {
  readonly #most: number
  readonly #byUser = new Map<string, Places>()

  /** @param most runs of one user at the same time */
  constructor(most: number) {
    this.#most = most
  }

  /** @returns whether there was a free place, which the run has now. Call `leave` when it ends */
  enter(user: string): boolean {
    const places = this.#placesOf(user)
    if (places.taken >= this.#most) return false
    places.taken += 1
    return true
  }

  leave(user: string): void {
    const places = this.#placesOf(user)
    places.taken -= 1
    const [next] = places.waiting
    if (next === undefined) this.#forget(user, places)
    else next()
  }

  /** Resolves when a place is free, which another run may take first, or when the signal is aborted. */
  async free(user: string, signal: AbortSignal): Promise<void> {
    const places = this.#placesOf(user)
    if (signal.aborted || places.taken < this.#most) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        places.waiting.delete(done)
        signal.removeEventListener('abort', done)
        this.#forget(user, places)
        resolve()
      }
      places.waiting.add(done)
      signal.addEventListener('abort', done, { once: true })
    })
  }

  /** An `Idle` for a run with a place. It has one again when the wait is over, or the signal is aborted. */
  idle(user: string, idle: Idle, signal: AbortSignal): Idle {
    return async (wait, forRuns) => {
      this.leave(user)
      const returns = async (): Promise<void> => {
        while (!this.enter(user)) {
          await this.free(user, signal)
          if (signal.aborted) return this.#overtake(user)
        }
      }
      const settled = wait.then(returns, returns)
      await idle(settled, forRuns)
      return wait
    }
  }

  #overtake(user: string): void {
    this.#placesOf(user).taken += 1
  }

  #placesOf(user: string): Places {
    const known = this.#byUser.get(user)
    if (known !== undefined) return known
    const places = { taken: 0, waiting: new Set<() => void>() }
    this.#byUser.set(user, places)
    return places
  }

  #forget(user: string, { taken, waiting }: Places): void {
    if (taken === 0 && waiting.size === 0) this.#byUser.delete(user)
  }
}
