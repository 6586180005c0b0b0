// Inspection: the inspector's state: the log of one session as far as it was read, where in it the page stands, and who reads.
// A store outside of React. It asks first whether it may: a session that is not there is not founded by looking at it.
//
//   asking ──► reading ──► live ◄──► lost        asking, lost ──► token (one is needed) | refused
import { GapError } from '@parley/client'
import type { EntryFrame, ReadersAnswer } from '@parley/protocol'
import type { Pass } from '../auth/stored-token.ts'
import { LogFeed } from './log-feed.ts'
import { Refusal, readProblem } from './refusal.ts'
import { Timeline } from './timeline.ts'

export type Phase = 'asking' | 'reading' | 'live' | 'lost' | 'token' | 'refused'

export const SPEEDS = [1, 4, 16, 64] as const
export type Speed = (typeof SPEEDS)[number]

/** Immutable but for the timeline, of which `first` and `count` tell what it held. */
export interface InspectionState {
  readonly phase: Phase
  readonly refusal: Refusal | undefined
  readonly timeline: Timeline
  readonly first: number
  readonly count: number
  /** The entry that the page stands at: all up to it is shown. -1: there is none. */
  readonly at: number
  /** It goes along with what comes. */
  readonly follows: boolean
  readonly plays: boolean
  readonly speed: Speed
  /** Outputs come merged, by polls. */
  readonly merges: boolean
  readonly readers: ReadersAnswer | undefined
}

const READERS_MS = 2_000
const OWN_MS = 500
/** Milliseconds that playing rests at most where nothing happened. */
const REST_MS = 1_000
/** Entries that playing goes on in one frame at most. */
const LEAP = 2_000

export class Inspection {
  readonly session: string
  readonly #pass: Pass
  readonly #window: Window
  readonly #listeners = new Set<() => void>()
  #feed: LogFeed | undefined
  #timer: number | undefined
  #closed = false
  /** Milliseconds that were played and not shown yet. */
  #played = 0
  #state: InspectionState

  /** @param pass the token that this tab speaks with: the chat page's own */
  constructor(session: string, pass: Pass, window: Window) {
    this.session = session
    this.#pass = pass
    this.#window = window
    this.#state = {
      phase: 'asking',
      refusal: undefined,
      timeline: new Timeline(session),
      first: 0,
      count: 0,
      at: -1,
      follows: true,
      plays: false,
      speed: 1,
      merges: false,
      readers: undefined,
    }
    this.#askReaders().catch(reportError)
  }

  get state(): InspectionState {
    return this.#state
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  close(): void {
    this.#closed = true
    this.#feed?.close()
    this.#window.clearTimeout(this.#timer)
  }

  /** With another token, after the server asked for one. */
  again(token: string): void {
    this.#pass.take(token)
    this.#become({ phase: 'asking', refusal: undefined })
    this.#askReaders().catch(reportError)
  }

  /** Goes to an entry, and stays there. */
  goTo(index: number): void {
    const { first, count } = this.#state
    if (count === 0) return
    this.#become({ at: Math.min(count - 1, Math.max(first, index)), follows: false, plays: false })
  }

  follow(follows: boolean): void {
    const { count, at } = this.#state
    this.#become({ follows, plays: false, at: follows ? count - 1 : at })
  }

  play(plays: boolean): void {
    const { at, count, first } = this.#state
    if (!plays || count === 0) return this.#become({ plays: false })
    this.#played = 0
    this.#become({ plays: true, follows: false, at: at >= count - 1 ? first : at })
    this.#frame(this.#window.performance.now())
  }

  setSpeed(speed: Speed): void {
    this.#become({ speed })
  }

  #frame(before: number): void {
    this.#window.requestAnimationFrame((now) => {
      const { plays, speed, timeline, at, count } = this.#state
      if (!plays || this.#closed) return
      this.#played += Math.max(0, now - before) * speed
      let next = at
      for (let steps = 0; next < count - 1 && steps < LEAP; steps += 1) {
        const rest = (timeline.entry(next + 1)?.time ?? 0) - (timeline.entry(next)?.time ?? 0)
        const cost = Math.min(REST_MS, Math.max(0, rest))
        if (cost > this.#played) break
        this.#played -= cost
        next += 1
      }
      this.#become({ at: next, plays: next < count - 1 })
      this.#frame(now)
    })
  }

  /** Who reads; and whether one may know, which comes before all else. */
  async #askReaders(): Promise<void> {
    if (this.#closed) return
    let waitMs = READERS_MS
    try {
      if (this.#feed === undefined || !this.#window.document.hidden) {
        const answer = await fetch(`/v1/sessions/${this.session}/readers`, {
          headers: this.#headers(),
          cache: 'no-store',
        })
        if (!answer.ok) throw await readProblem(answer)
        const readers = (await answer.json()) as ReadersAnswer
        if (this.#closed) return
        this.#become({ readers })
        if (this.#feed === undefined) {
          this.#feed = this.#read()
          // Soon again: then this page is one of them.
          waitMs = OWN_MS
        }
      }
    } catch (error) {
      if (error instanceof Refusal && !error.retryable) return this.#refused(error)
      if (error instanceof Refusal) waitMs = Math.max(waitMs, error.retryAfterMs ?? 0)
      this.#become({ readers: undefined, ...(this.#feed === undefined ? { phase: 'lost' } : {}) })
    }
    this.#timer = this.#window.setTimeout(() => this.#askReaders().catch(reportError), waitMs)
  }

  #read(): LogFeed {
    this.#become({ phase: 'reading' })
    return new LogFeed({
      origin: this.#window.location.origin,
      session: this.session,
      headers: () => this.#headers(),
      events: {
        attached: (_, reset) => {
          if (reset) this.#startOver()
          if (this.#state.phase !== 'live') this.#become({ phase: 'reading' })
        },
        entry: (frame) => this.#take(frame),
        live: () => this.#become({ phase: 'live' }),
        lost: () => this.#become({ phase: 'lost' }),
        merges: () => this.#become({ merges: true }),
        refused: (refusal) => this.#refused(refusal),
      },
    })
  }

  #take(frame: EntryFrame): boolean {
    const { timeline, at, follows } = this.#state
    try {
      timeline.add(frame)
    } catch (error) {
      if (!(error instanceof GapError)) throw error
      // Something is missing, and no guess of ours would make it whole.
      this.#startOver()
      return false
    }
    const { first, count } = timeline
    this.#become({ first, count, at: follows ? count - 1 : Math.max(at, first) })
    return true
  }

  #startOver(): void {
    this.#become({ timeline: new Timeline(this.session), first: 0, count: 0, at: -1, follows: true, plays: false })
  }

  #headers(): Record<string, string> {
    const { token } = this.#pass
    return token === undefined ? {} : { Authorization: `Bearer ${token}` }
  }

  #refused(refusal: Refusal): void {
    this.#feed?.close()
    this.#feed = undefined
    this.#window.clearTimeout(this.#timer)
    this.#become({ phase: refusal.code === 'unauthenticated' ? 'token' : 'refused', refusal, plays: false })
  }

  #become(change: Partial<InspectionState>): void {
    this.#state = { ...this.#state, ...change }
    for (const listener of [...this.#listeners]) listener()
  }
}
