// Allowance: what this person may still use, as the server last told: asked when a session is live, when an answer has ended,
// now and then while one is given, when something was refused for it, and when a budget begins anew. One question at a time.
// Where nothing is bounded, it is asked once for each connection.
import { type MeAnswer, ParleyError, type Session } from '@parley/client'

/** What an allowance needs of a client and a session. */
export interface AllowancePorts {
  readonly session: Pick<Session, 'id' | 'state' | 'subscribe'>
  readonly me: (session: string) => Promise<MeAnswer>
}

export type AllowanceState = Omit<MeAnswer, 'user' | 'name'>

/** Milliseconds between two questions while an answer is given, and at least. */
const PACE_MS = 4_000
const GAP_MS = 700
/** Milliseconds after an answer's end by which all that it used has been counted, on all nodes. */
const COUNTED_MS = 1_500
/** Timers take no longer times. */
const TIMER_MAX_MS = 2 ** 31 - 1
/** Not all pages at the same moment. */
const SPREAD_MS = 1_500

export class Allowance {
  readonly #ports: AllowancePorts
  readonly #listeners = new Set<() => void>()
  readonly #stop: () => void
  #state: AllowanceState = {}
  #wasLive = false
  #run: string | undefined
  #endedAt = 0
  #asking = false
  /** Something changed since the last question began. */
  #again = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed = false

  constructor(ports: AllowancePorts) {
    this.#ports = ports
    this.#stop = ports.session.subscribe(() => this.#look())
    this.#look()
  }

  /** What is left out has no bound, or is not known yet. */
  get state(): AllowanceState {
    return this.#state
  }

  /** Bound, so that React can be given it as it is. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** What is known may be out of date. */
  ask(): void {
    this.#again = true
    if (!this.#asking) void this.#ask()
  }

  close(): void {
    this.#closed = true
    this.#stop()
    clearTimeout(this.#timer)
  }

  #look(): void {
    const { status, activeRun } = this.#ports.session.state
    const isLive = status === 'live'
    const before = this.#run
    const came = isLive && !this.#wasLive
    this.#wasLive = isLive
    this.#run = activeRun
    if (before !== undefined && before !== activeRun) this.#endedAt = Date.now()
    if (!isLive) return
    if (came) this.ask()
    else if (before !== activeRun && this.#isBounded) {
      if (before !== undefined) this.ask()
      else if (!this.#asking) this.#wait()
    }
  }

  get #isBounded(): boolean {
    return this.#state.budget !== undefined || this.#state.sessionBudget !== undefined
  }

  async #ask(): Promise<void> {
    this.#asking = true
    while (this.#again && !this.#closed) {
      this.#again = false
      try {
        const { budget, sessionBudget, runs } = await this.#ports.me(this.#ports.session.id)
        this.#become({
          ...(budget === undefined ? {} : { budget }),
          ...(sessionBudget === undefined ? {} : { sessionBudget }),
          ...(runs === undefined ? {} : { runs }),
        })
      } catch (error) {
        // What is held stays: the next answer, or the next connection, asks again.
        if (!(error instanceof ParleyError)) reportError(error)
      }
      await new Promise((resolve) => setTimeout(resolve, GAP_MS))
    }
    this.#asking = false
    this.#wait()
  }

  /** For the next time that something is to be expected. */
  #wait(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#closed || !this.#isBounded || !this.#wasLive) return
    const { budget, sessionBudget } = this.#state
    const now = Date.now()
    const ends = [budget, sessionBudget].flatMap((each) => (each === undefined ? [] : [each.resetsAt - now]))
    const end = Math.max(GAP_MS, Math.min(...ends) + Math.random() * SPREAD_MS)
    const soon = this.#run !== undefined ? PACE_MS : now - this.#endedAt < COUNTED_MS ? COUNTED_MS : end
    const wait = Math.min(soon, end)
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        if (wait <= TIMER_MAX_MS) this.ask()
      },
      Math.min(wait, TIMER_MAX_MS),
    )
  }

  #become(state: AllowanceState): void {
    if (this.#closed) return
    this.#state = state
    for (const listener of [...this.#listeners]) listener()
  }
}
