// Allowance: the user's remaining token budgets and concurrent answers, and what the server offers, as last reported. It asks when
// the session becomes live, periodically while an answer streams, when it ends, after a refusal, and when a budget
// resets. One request runs at a time. Without a budget it asks once per connection.
import { type MeAnswer, ParleyError, type Session } from '@parley/client'
import { Store } from '../shared/store.ts'

/** The parts of a client and a session that an allowance uses. */
export interface AllowancePorts {
  readonly session: Pick<Session, 'id' | 'state' | 'subscribe'>
  readonly me: (session: string) => Promise<MeAnswer>
  /** The server's time in Unix milliseconds. */
  readonly now: () => number
}

/** A missing field is unlimited, or not known yet. */
export type AllowanceState = Omit<MeAnswer, 'user' | 'name'>

/** Milliseconds between two requests while an answer streams. */
const STREAMING_INTERVAL_MS = 4_000
/** Milliseconds between two requests at least. */
const MIN_INTERVAL_MS = 700
/** Milliseconds after the end of an answer until all nodes have counted its tokens. */
const COUNTED_MS = 1_500
/** A timer cannot run longer. */
const TIMER_MAX_MS = 2 ** 31 - 1
/** Random milliseconds, so that not all pages ask at the moment of a reset. */
const JITTER_MS = 1_500

export class Allowance extends Store<AllowanceState> {
  readonly #ports: AllowancePorts
  readonly #unsubscribe: () => void
  #wasLive = false
  #run: string | undefined
  #endedAt = 0
  #requesting = false
  /** Whether something changed since the last request began. */
  #stale = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed = false

  constructor(ports: AllowancePorts) {
    super({})
    this.#ports = ports
    this.#unsubscribe = ports.session.subscribe(() => this.#sessionChanged())
    this.#sessionChanged()
  }

  refresh(): void {
    this.#stale = true
    if (!this.#requesting) void this.#request()
  }

  close(): void {
    this.#closed = true
    this.#unsubscribe()
    clearTimeout(this.#timer)
  }

  #sessionChanged(): void {
    const { status, activeRun } = this.#ports.session.state
    const isLive = status === 'live'
    const before = this.#run
    const becameLive = isLive && !this.#wasLive
    this.#wasLive = isLive
    this.#run = activeRun
    if (before !== undefined && before !== activeRun) this.#endedAt = this.#ports.now()
    if (!isLive) return
    if (becameLive) this.refresh()
    else if (before !== activeRun && this.#hasBudget) {
      if (before !== undefined) this.refresh()
      else if (!this.#requesting) this.#schedule()
    }
  }

  get #hasBudget(): boolean {
    return this.state.budget !== undefined || this.state.sessionBudget !== undefined
  }

  async #request(): Promise<void> {
    this.#requesting = true
    while (this.#stale && !this.#closed) {
      this.#stale = false
      try {
        const { budget, sessionBudget, runs, offers } = await this.#ports.me(this.#ports.session.id)
        if (this.#closed) return
        this.setState({
          ...(budget === undefined ? {} : { budget }),
          ...(sessionBudget === undefined ? {} : { sessionBudget }),
          ...(runs === undefined ? {} : { runs }),
          ...(offers === undefined ? {} : { offers }),
        })
      } catch (error) {
        // The last values stay until the next answer or connection asks again.
        if (!(error instanceof ParleyError)) reportError(error)
      }
      await new Promise((resolve) => setTimeout(resolve, MIN_INTERVAL_MS))
    }
    this.#requesting = false
    this.#schedule()
  }

  /** Schedules the next request for when the values are expected to change. */
  #schedule(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#closed || !this.#hasBudget || !this.#wasLive) return
    const { budget, sessionBudget } = this.state
    const now = this.#ports.now()
    const resets = [budget, sessionBudget].flatMap((each) => (each === undefined ? [] : [each.resetsAt - now]))
    const reset = Math.max(MIN_INTERVAL_MS, Math.min(...resets) + Math.random() * JITTER_MS)
    const next = this.#run !== undefined ? STREAMING_INTERVAL_MS : now - this.#endedAt < COUNTED_MS ? COUNTED_MS : reset
    const wait = Math.min(next, reset)
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        if (wait <= TIMER_MAX_MS) this.refresh()
      },
      Math.min(wait, TIMER_MAX_MS),
    )
  }
}
