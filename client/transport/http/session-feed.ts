// SessionFeed: reads one session over HTTP, by a stream or by polls, and hands on what a WebSocket would have brought:
// each entry once, in order. All of them go on from one position, so that a poll on the side can complete a stream.
//
//   opening ──first answer──► attached ──broke──► opening, from where it stands        any ──► closed
import type { Attach, EntryFrame, Presence, ServerFrame } from '@parley/protocol'
import type { ReconnectPolicy } from '../../backoff.ts'
import { backoff } from '../../backoff.ts'
import type { Clock } from '../../client-options.ts'
import type { Semaphore } from '../../semaphore.ts'
import type { Door, DoorPolicy } from '../door.ts'
import { SOON_MS } from '../door.ts'
import { resumeHeaders, resumption } from '../resumption.ts'
import { ABNORMAL, type Loss, type LossKind } from '../transport.ts'
import { CatchUpPoller } from './catch-up-poller.ts'
import { errorOf, sessionPath } from './command-request.ts'
import { readStream } from './event-stream.ts'
import { FeedPosition } from './feed-position.ts'
import type { HttpCaller } from './http-caller.ts'
import { HttpFailure } from './http-failure.ts'

export interface FeedPorts {
  readonly caller: HttpCaller
  readonly clock: Clock
  readonly policy: DoorPolicy
  readonly reconnect: ReconnectPolicy
  /** Streams and long polls at once; who has none polls now and then. */
  readonly slots: Semaphore
  /** It is to get by without one. */
  isHidden(): boolean
  /** Reads by a stream, rather than by polls. */
  readonly streams: boolean
  readonly door: Door
  readonly heartbeatMs: number
  frames(frames: readonly ServerFrame[]): void
  lost(loss: Loss): void
  /** It reads on after it was cut off: the server may have let go of the session's tools. */
  returned(session: string): void
}

/** Seconds that a long poll waits at the server: below what proxies allow. */
const WAIT_S = 25
const WAIT_MIN_S = 1
/** Milliseconds between two polls of a session that has no slot. */
const CROWD_MS = 2_000
/** Breaks in a row before the link is given up, and refusals that ask for patience. */
const BREAKS = 3
const REFUSALS = 8
/** Heartbeats that a stream may miss. */
const MISSED = 2.5

export class SessionFeed {
  readonly #ports: FeedPorts
  readonly #attach: Attach
  readonly #position: FeedPosition
  readonly #pursuit: CatchUpPoller
  readonly #end = new AbortController()
  /** The position when somebody was last told of it. */
  #told: string | undefined
  /** Of who is here, as a page told it last. */
  #here: string | undefined
  #closed = false
  /** The node is about to stop: the connection will leave it. */
  #leaving = false
  #breaks = 0
  #waitS = WAIT_S
  /** When something last came; 0: never. */
  #heardAt = 0
  /** Of the stream, where one is open: `asked` until its first bytes are here. */
  #stream: 'none' | 'asked' | 'begun' = 'none'
  #endRequest: (() => void) | undefined
  #wake: (() => void) | undefined

  /** @param ready what is waited for before it begins */
  constructor(attach: Attach, ports: FeedPorts, ready?: Promise<void>) {
    const { clock, policy, streams } = ports
    this.#attach = attach
    this.#ports = ports
    this.#position = new FeedPosition(attach)
    this.#pursuit = new CatchUpPoller({
      clock,
      stallMs: policy.stallMs,
      waits: () => this.#position.waits || this.#stream === 'asked',
      fetch: () => this.#fetch(),
      stalled: (reason) => this.#lose(streams ? 'stalled' : 'broken', reason),
    })
    this.#run(ready).catch((error: unknown) => this.#lose('broken', String(error)))
  }

  /** Calls back when everything up to there was handed on: at once, if it was. */
  reach(cursor: string, then: () => void): void {
    if (this.#position.reached(cursor)) {
      then()
      return
    }
    this.#position.wait(cursor, then)
    this.#pursuit.begin()
  }

  /** The machine may have slept, and the request be dead: it is made anew, unless something came over it lately. */
  check(): void {
    const { clock, heartbeatMs } = this.#ports
    if (clock.now() - this.#heardAt > heartbeatMs) this.#endRequest?.()
    this.#wake?.()
  }

  /** Gives its slot back: whether it takes another one is asked anew. */
  yield(): void {
    this.#endRequest?.()
  }

  /** @returns those who still wait for a cursor */
  close(): ReturnType<FeedPosition['leave']> {
    this.#closed = true
    this.#pursuit.close()
    this.#end.abort()
    this.#wake?.()
    return this.#position.leave()
  }

  async #run(ready: Promise<void> | undefined): Promise<void> {
    const { slots, streams, clock, isHidden } = this.#ports
    await ready
    while (!this.#closed && !this.#leaving) {
      const slot = !isHidden() && slots.take()
      const since = clock.now()
      try {
        if (streams && slot) await this.#request((signal) => this.#readStream(signal))
        else await this.#request((signal) => this.#poll(slot && this.#position.live ? this.#waitS : 0, signal))
      } catch (error) {
        await this.#broke(error, clock.now() - since)
      } finally {
        if (slot) slots.give()
      }
      if (!slot) await this.#pause(CROWD_MS * (0.5 + clock.random()))
    }
  }

  async #request(use: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const request = new AbortController()
    const end = (): void => request.abort()
    let checked = false
    this.#endRequest = () => {
      checked = true
      end()
    }
    this.#end.signal.addEventListener('abort', end)
    try {
      await use(request.signal)
    } catch (error) {
      if (!checked) throw error
    } finally {
      end()
      this.#endRequest = undefined
      this.#end.signal.removeEventListener('abort', end)
    }
  }

  /** @throws HttpFailure whenever the stream ends: it has no end of its own */
  async #readStream(signal: AbortSignal): Promise<void> {
    const { caller, clock, policy, heartbeatMs } = this.#ports
    const path = this.#path('merge=true&presence=1')
    const accept = 'text/event-stream'
    let live = false
    const stream = new AbortController()
    const end = (): void => stream.abort()
    signal.addEventListener('abort', end)
    this.#stream = 'asked'
    // Should it not begin soon, polls bring meanwhile what there is.
    this.#pursuit.begin()
    try {
      const headers = this.#resumeHeaders()
      const call = { method: 'GET', path, accept, headers, timeoutMs: policy.timeoutMs, signal: stream.signal } as const
      await readStream(await caller.stream(call), {
        clock,
        end,
        patienceMs: () => (live ? heartbeatMs * MISSED : policy[this.#stream === 'begun' ? 'stallMs' : 'timeoutMs']),
        heard: () => {
          // It has to hold before the breaks of those before it are forgotten.
          if (this.#stream === 'asked') this.#succeeded()
          this.#stream = 'begun'
          this.#heardAt = clock.now()
          this.#pursuit.heard()
        },
        frames: (frames) => {
          live ||= frames.some((frame) => frame.type === 'live')
          if (this.#take(frames)) this.#endRequest?.()
        },
      })
    } catch (error) {
      // Before it was live there was something to bring: somebody on the way keeps it.
      if (error instanceof HttpFailure && error.kind === 'late' && !live) this.#lose('stalled', error.message)
      throw error
    } finally {
      this.#stream = 'none'
      // What is to be said against it was said.
      this.#pursuit.heard()
    }
    throw new HttpFailure('network', 'The stream ended.')
  }

  async #poll(waitS: number, signal: AbortSignal): Promise<void> {
    const page = await this.#page(waitS, signal)
    this.#succeeded()
    this.#breaks = 0
    this.#heardAt = this.#ports.clock.now()
    this.#takePage(page)
  }

  /** By a poll on the side. @returns whether it had anything that a stream should have brought */
  async #fetch(): Promise<boolean> {
    const page = await this.#page(0, this.#end.signal)
    if (this.#closed) return false
    if (page.reset === true && this.#position.attached) {
      // Told by the stream itself, when it begins anew.
      this.#endRequest?.()
      return false
    }
    return this.#takePage(page) && this.#stream !== 'none'
  }

  /** @returns whether there was anything in it that was not handed on yet */
  #takePage({ entries, cursor, live, role, reset, presence }: Page): boolean {
    const { session, id } = this.#attach
    const isAttached = role !== this.#position.role || reset === true
    const frames: ServerFrame[] = []
    if (isAttached) {
      frames.push({ type: 'attached', id, session, cursor, role, ...(reset === undefined ? {} : { reset }) })
    }
    frames.push(...entries)
    if (live && (!this.#position.live || isAttached)) frames.push({ type: 'live', session, cursor })
    if (presence !== undefined && (isAttached || presence.tag === undefined || presence.tag !== this.#here)) {
      const { members, count } = presence
      this.#here = presence.tag
      frames.push({ type: 'presence', session, members, count })
    }
    const before = this.#position.cursor
    // Another page from here brings the rest.
    if (this.#take(frames)) return true
    const isNews = this.#position.cursor !== before && entries.length > 0
    this.#moveTo(cursor)
    return isNews
  }

  async #page(waitS: number, signal: AbortSignal): Promise<Page> {
    const { policy, caller } = this.#ports
    const timeoutMs = waitS * 1_000 + policy.timeoutMs + policy.stallMs
    // With the tag it comes also when somebody comes, goes or shows something.
    const here = this.#here === undefined ? '' : `&here=${encodeURIComponent(this.#here)}`
    const path = this.#path(waitS > 0 ? `presence=1&wait=${waitS}${here}` : 'presence=1')
    // A poll on the side is no coming back.
    const headers = this.#ports.streams ? {} : this.#resumeHeaders()
    const { body } = await caller.json({ method: 'GET', path, accept: 'application/json', headers, timeoutMs, signal })
    if (!isPage(body)) throw new HttpFailure('foreign', 'The answer to a poll is no page of entries.')
    return body
  }

  /** For metrics: what it comes back from, by its first request, or by one after a break. */
  #resumeHeaders(): Readonly<Record<string, string>> {
    const { door, clock } = this.#ports
    const { attached, isRunning } = this.#position
    if (!attached) return resumeHeaders(this.#attach.resume)
    if (this.#breaks === 0) return {}
    return resumeHeaders(resumption({ door, heardAt: this.#heardAt }, clock.now(), isRunning))
  }

  #path(query: string): string {
    const { cursor } = this.#position
    const after = cursor === undefined ? '' : `after=${encodeURIComponent(cursor)}`
    const whole = [after, query].filter((part) => part !== '').join('&')
    return `${sessionPath(this.#attach.session)}/events${whole === '' ? '' : `?${whole}`}`
  }

  /** @returns whether there is more, which has to be asked for again */
  #take(frames: readonly ServerFrame[]): boolean {
    if (this.#closed) return false
    const { news, torn } = this.#position.pass(frames)
    this.#leaving ||= news.some((frame) => frame.type === 'goaway')
    if (news.length > 0) this.#ports.frames(news)
    this.#advanced()
    return torn
  }

  /** Up to there, there is nothing more to be seen. */
  #moveTo(cursor: string): void {
    this.#position.advance(cursor)
    this.#advanced()
  }

  /** To be called when what was passed has been handed on. */
  #advanced(): void {
    const { cursor } = this.#position
    if (cursor === this.#told) return
    this.#told = cursor
    this.#position.release()
    this.#pursuit.advanced()
  }

  #succeeded(): void {
    if (this.#position.attached && this.#breaks > 0) this.#ports.returned(this.#attach.session)
  }

  async #broke(error: unknown, heldMs: number): Promise<void> {
    if (this.#closed || this.#leaving) return
    const failure = error instanceof HttpFailure ? error : new HttpFailure('network', 'The answer broke off.')
    const { reconnect, clock, streams } = this.#ports
    if (heldMs >= SOON_MS) this.#breaks = 0
    this.#breaks += 1
    if (failure.kind === 'problem') this.#refused(failure)
    else if (failure.kind === 'foreign') this.#lose('refused', failure.message)
    else if (this.#breaks >= BREAKS) {
      // A stream that never was: something lets everything through but this.
      this.#lose(streams && !this.#position.attached ? 'refused' : 'broken', failure.message, heldMs)
    } else if (!streams && heldMs > WAIT_MIN_S * 2_000) {
      this.#waitS = Math.max(WAIT_MIN_S, Math.floor(this.#waitS / 2))
    }
    await this.#pause((failure.retryAfterMs ?? 0) + backoff(reconnect, this.#breaks, clock.random()))
  }

  #refused(failure: HttpFailure): void {
    const { code, retryable, retryAfterMs } = failure
    const retry = retryAfterMs === undefined ? {} : { retryAfterMs }
    if (code === 'unauthenticated') {
      this.#ports.lost({ kind: 'told', code: 4401, reason: 'not authenticated' })
    } else if (code === 'going_away') {
      this.#ports.lost({ kind: 'told', code: 4503, reason: failure.message, ...retry })
    } else if (!retryable || !this.#position.attached || this.#breaks >= REFUSALS) {
      // The session knows what to do about it.
      this.#closed = true
      this.#pursuit.close()
      this.#ports.frames([errorOf(this.#attach.id, failure)])
    }
  }

  #lose(kind: LossKind, reason: string, heldMs?: number): void {
    if (this.#closed) return
    this.#ports.lost({ kind, code: ABNORMAL, reason, ...(heldMs === undefined ? {} : { heldMs }) })
  }

  #pause(ms: number): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = this.#ports.clock.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

/** As much of the answer to a poll as is relied on. */
interface Page {
  readonly cursor: string
  readonly entries: readonly EntryFrame[]
  readonly live: boolean
  readonly role: string
  readonly reset?: true
  readonly presence?: Pick<Presence, 'members' | 'count'> & { readonly tag?: string }
}

function isPage(value: unknown): value is Page {
  if (typeof value !== 'object' || value === null) return false
  const { cursor, entries, live, role } = value as Record<string, unknown>
  return [cursor, role].every((text) => typeof text === 'string') && Array.isArray(entries) && typeof live === 'boolean'
}
