// Inspection: the inspector's state: the log of one session as far as it is loaded, the selected entry, and the
// readers. It first requests the readers, to check access: opening the log at once would create a missing session.
//
//   connecting ──► loading ──► live ◄──► lost        connecting, lost ──► sign-in (a token is needed) | denied
import { GapError, ParleyError } from '@parley/client'
import type { EntryFrame, ReadersAnswer } from '@parley/protocol'
import type { StoredToken } from '../auth/stored-token.ts'
import { problemOf } from '../connection/requests.ts'
import { Store } from '../shared/store.ts'
import { LogFollower } from './log-follower.ts'
import { Timeline } from './timeline.ts'

export type Phase = 'connecting' | 'loading' | 'live' | 'lost' | 'sign-in' | 'denied'

export const SPEEDS = [1, 4, 16, 64] as const
export type Speed = (typeof SPEEDS)[number]

/** Immutable, except the timeline: `first` and `count` change with its content. */
export interface InspectionState {
  readonly phase: Phase
  /** Why access was denied. */
  readonly error: ParleyError | undefined
  readonly timeline: Timeline
  readonly first: number
  readonly count: number
  /** The index of the selected entry: the page shows the state after it. -1: there is no entry. */
  readonly at: number
  /** Whether the selection follows new entries. */
  readonly follows: boolean
  readonly plays: boolean
  readonly speed: Speed
  /** Whether the log is read by long polling, which merges adjacent outputs. */
  readonly merges: boolean
  readonly readers: ReadersAnswer | undefined
}

const READERS_INTERVAL_MS = 2_000
const FIRST_READERS_INTERVAL_MS = 500
/** Playback shortens a longer pause in the log to this. */
const MAX_PAUSE_MS = 1_000
/** Entries that playback advances in one frame at most. */
const MAX_STEPS = 2_000

export class Inspection extends Store<InspectionState> {
  readonly session: string
  readonly #token: StoredToken
  readonly #window: Window
  #follower: LogFollower | undefined
  #timer: number | undefined
  #closed = false
  /** Milliseconds of playback that are not used up yet. */
  #played = 0

  /** @param token the tab's access token, shared with the chat page */
  constructor(session: string, token: StoredToken, window: Window) {
    super({
      phase: 'connecting',
      error: undefined,
      timeline: new Timeline(session),
      first: 0,
      count: 0,
      at: -1,
      follows: true,
      plays: false,
      speed: 1,
      merges: false,
      readers: undefined,
    })
    this.session = session
    this.#token = token
    this.#window = window
    this.#requestReaders().catch(reportError)
  }

  close(): void {
    this.#closed = true
    this.#follower?.close()
    this.#window.clearTimeout(this.#timer)
  }

  /** Tries again with another access token. */
  signIn(token: string): void {
    this.#token.set(token)
    this.#update({ phase: 'connecting', error: undefined })
    this.#requestReaders().catch(reportError)
  }

  /** Selects an entry, and stops following and playback. */
  goTo(index: number): void {
    const { first, count } = this.state
    if (count === 0) return
    this.#update({ at: Math.min(count - 1, Math.max(first, index)), follows: false, plays: false })
  }

  follow(follows: boolean): void {
    const { count, at } = this.state
    this.#update({ follows, plays: false, at: follows ? count - 1 : at })
  }

  play(plays: boolean): void {
    const { at, count, first } = this.state
    if (!plays || count === 0) return this.#update({ plays: false })
    this.#played = 0
    this.#update({ plays: true, follows: false, at: at >= count - 1 ? first : at })
    this.#frame(this.#window.performance.now())
  }

  setSpeed(speed: Speed): void {
    this.#update({ speed })
  }

  #frame(before: number): void {
    this.#window.requestAnimationFrame((now) => {
      const { plays, speed, timeline, at, count } = this.state
      if (!plays || this.#closed) return
      this.#played += Math.max(0, now - before) * speed
      let next = at
      for (let steps = 0; next < count - 1 && steps < MAX_STEPS; steps += 1) {
        const pause = (timeline.entry(next + 1)?.time ?? 0) - (timeline.entry(next)?.time ?? 0)
        const cost = Math.min(MAX_PAUSE_MS, Math.max(0, pause))
        if (cost > this.#played) break
        this.#played -= cost
        next += 1
      }
      this.#update({ at: next, plays: next < count - 1 })
      this.#frame(now)
    })
  }

  /** Reads the list of readers periodically. The first request also checks access, before the log is opened. */
  async #requestReaders(): Promise<void> {
    if (this.#closed) return
    let waitMs = READERS_INTERVAL_MS
    try {
      if (this.#follower === undefined || !this.#window.document.hidden) {
        const response = await fetch(`/v1/sessions/${this.session}/readers`, {
          headers: this.#headers(),
          cache: 'no-store',
        })
        if (!response.ok) throw problemOf(response, await response.text())
        const readers = (await response.json()) as ReadersAnswer
        if (this.#closed) return
        this.#update({ readers })
        if (this.#follower === undefined) {
          this.#follower = this.#followLog()
          // Ask again soon: the next answer includes this page.
          waitMs = FIRST_READERS_INTERVAL_MS
        }
      }
    } catch (error) {
      if (error instanceof ParleyError && !error.retryable) return this.#denied(error)
      if (error instanceof ParleyError) waitMs = Math.max(waitMs, error.retryAfterMs ?? 0)
      this.#update({ readers: undefined, ...(this.#follower === undefined ? { phase: 'lost' } : {}) })
    }
    this.#timer = this.#window.setTimeout(() => this.#requestReaders().catch(reportError), waitMs)
  }

  #followLog(): LogFollower {
    this.#update({ phase: 'loading' })
    return new LogFollower({
      origin: this.#window.location.origin,
      session: this.session,
      headers: () => this.#headers(),
      events: {
        attached: (_, reset) => {
          if (reset) this.#reset()
          if (this.state.phase !== 'live') this.#update({ phase: 'loading' })
        },
        entry: (frame) => this.#append(frame),
        live: () => this.#update({ phase: 'live' }),
        lost: () => this.#update({ phase: 'lost' }),
        merges: () => this.#update({ merges: true }),
        denied: (error) => this.#denied(error),
      },
    })
  }

  #append(frame: EntryFrame): boolean {
    const { timeline, at, follows } = this.state
    try {
      timeline.add(frame)
    } catch (error) {
      if (!(error instanceof GapError)) throw error
      // Entries are missing, so the log must be read again from its beginning.
      this.#reset()
      return false
    }
    const { first, count } = timeline
    this.#update({ first, count, at: follows ? count - 1 : Math.max(at, first) })
    return true
  }

  #reset(): void {
    this.#update({ timeline: new Timeline(this.session), first: 0, count: 0, at: -1, follows: true, plays: false })
  }

  #headers(): Record<string, string> {
    const { value } = this.#token
    return value === undefined ? {} : { Authorization: `Bearer ${value}` }
  }

  #denied(error: ParleyError): void {
    this.#follower?.close()
    this.#follower = undefined
    this.#window.clearTimeout(this.#timer)
    this.#update({ phase: error.code === 'unauthenticated' ? 'sign-in' : 'denied', error, plays: false })
  }

  #update(change: Partial<InspectionState>): void {
    this.setState({ ...this.state, ...change })
  }
}
