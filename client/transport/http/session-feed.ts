// SessionFeed: reads one session over HTTP, by a stream or by polls, and delivers the frames that a WebSocket would
// have delivered: each entry once, in order. Stream and polls share one position, so that polls can complete a stream.
//
//   opening ──first answer──► attached ──break──► opening, from its position        any ──► closed
import type { Attach, EntryFrame, Presence, ServerFrame } from '@parley/protocol'
import { NOT_AUTHENTICATED } from '@parley/protocol/close-code'
import type { ReconnectPolicy } from '../../backoff.ts'
import { backoff } from '../../backoff.ts'
import type { Clock } from '../../client-options.ts'
import { given } from '../../given.ts'
import type { Door, DoorPolicy } from '../door.ts'
import { STABLE_MS } from '../door.ts'
import { hasFields } from '../frame-codec.ts'
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
  /** Acquires a slot for a stream or a long poll. @returns its release; undefined: the feed polls periodically */
  acquire(): Promise<(() => void) | undefined>
  /** Reads by a stream instead of polls. */
  readonly usesStream: boolean
  readonly kind: Door
  readonly heartbeatMs: number
  frames(frames: readonly ServerFrame[]): void
  lost(loss: Loss): void
  /** The feed has resumed after a break: the server may have dropped the session's tools. */
  resumed(session: string): void
}

/** How long a long poll waits at the server, in seconds: less than the timeout of common proxies. */
const WAIT_S = 25
const WAIT_MIN_S = 1
/** Interval of the polls of a session without a slot, in milliseconds. */
const SHORT_POLL_MS = 2_000
/** Consecutive breaks, and consecutive retryable refusals, after which the transport fails. */
const MAX_BREAKS = 3
const MAX_REFUSALS = 8
/** Number of heartbeats that a stream may miss. */
const MISSED_HEARTBEATS = 2.5

export class SessionFeed {
  readonly #ports: FeedPorts
  readonly #attach: Attach
  readonly #position: FeedPosition
  readonly #catchUp: CatchUpPoller
  readonly #end = new AbortController()
  /** The position as of the last notification. */
  #notified: string | undefined
  /** The tag of the presence in the last page. */
  #presenceTag: string | undefined
  #closed = false
  /** The node is shutting down: the connection will leave it. */
  #leaving = false
  #breaks = 0
  #waitS = WAIT_S
  /** Unix milliseconds of the last received bytes; 0 before the first. */
  #receivedAt = 0
  /** The state of the stream: `requested` until its first bytes arrive. */
  #stream: 'none' | 'requested' | 'receiving' = 'none'
  #endRequest: (() => void) | undefined
  #wake: (() => void) | undefined

  /** @param ready the feed starts after this promise */
  constructor(attach: Attach, ports: FeedPorts, ready?: Promise<void>) {
    const { clock, policy, usesStream } = ports
    this.#attach = attach
    this.#ports = ports
    this.#position = new FeedPosition(attach)
    this.#catchUp = new CatchUpPoller({
      clock,
      stallMs: policy.stallMs,
      isNeeded: () => this.#position.hasWaiters || this.#stream === 'requested',
      fetch: () => this.#pollAside(),
      stalled: (reason) => this.#fail(usesStream ? 'stalled' : 'broken', reason),
    })
    this.#run(ready).catch((error: unknown) => this.#fail('broken', String(error)))
  }

  /** Calls back when everything up to the cursor was delivered, possibly at once. */
  whenReached(cursor: string, callback: () => void): void {
    if (this.#position.reached(cursor)) {
      callback()
      return
    }
    this.#position.addWaiter(cursor, callback)
    this.#catchUp.start()
  }

  /** Restarts the request: the machine may have slept, for which the clock need not count, and the request be dead. */
  check(): void {
    this.#endRequest?.()
    this.#wake?.()
  }

  /** Ends the current stream. Before the next one, the feed checks again whether it may have a slot. */
  releaseStream(): void {
    this.#endRequest?.()
  }

  /** @returns the waiters of cursors that were not reached */
  close(): ReturnType<FeedPosition['removeWaiters']> {
    this.#closed = true
    this.#catchUp.close()
    this.#end.abort()
    this.#wake?.()
    return this.#position.removeWaiters()
  }

  async #run(ready: Promise<void> | undefined): Promise<void> {
    const { usesStream, clock, acquire } = this.#ports
    await ready
    while (!this.#closed && !this.#leaving) {
      const release = await acquire()
      const hasSlot = release !== undefined
      const since = clock.now()
      try {
        if (this.#closed) return
        if (usesStream && hasSlot) await this.#request((request) => this.#readStream(request))
        else await this.#request(({ signal }) => this.#poll(hasSlot && this.#position.live ? this.#waitS : 0, signal))
      } catch (error) {
        await this.#onBreak(error, clock.now() - since)
      } finally {
        release?.()
      }
      if (!hasSlot) await this.#pause(SHORT_POLL_MS * (0.5 + clock.random()))
    }
  }

  async #request(use: (request: AbortController) => Promise<void>): Promise<void> {
    const request = new AbortController()
    const abort = (): void => request.abort()
    let isIntended = false
    this.#endRequest = () => {
      isIntended = true
      abort()
    }
    this.#end.signal.addEventListener('abort', abort)
    try {
      await use(request)
    } catch (error) {
      if (!isIntended) throw error
    } finally {
      abort()
      this.#endRequest = undefined
      this.#end.signal.removeEventListener('abort', abort)
    }
  }

  /** @throws HttpFailure whenever the stream ends, because it has no regular end */
  async #readStream(request: AbortController): Promise<void> {
    const { caller, clock, policy, heartbeatMs } = this.#ports
    const { signal } = request
    const path = this.#path({ merge: 'true' })
    const accept = 'text/event-stream'
    let live = false
    this.#stream = 'requested'
    // If the stream does not start soon, polls deliver the entries meanwhile.
    this.#catchUp.start()
    try {
      const headers = this.#resumeHeaders()
      const call = { method: 'GET', path, accept, headers, timeoutMs: policy.timeoutMs, signal } as const
      await readStream(await caller.stream(call), {
        clock,
        abort: () => request.abort(),
        timeoutMs: () => {
          if (live) return heartbeatMs * MISSED_HEARTBEATS
          return this.#stream === 'receiving' ? policy.stallMs : policy.timeoutMs
        },
        received: () => {
          // Only a working stream resets the count of breaks.
          if (this.#stream === 'requested') this.#onSuccess()
          this.#stream = 'receiving'
          this.#receivedAt = clock.now()
          this.#catchUp.streamReceived()
        },
        frames: (frames) => {
          live ||= frames.some((frame) => frame.type === 'live')
          if (this.#deliver(frames)) this.#endRequest?.()
        },
      })
    } catch (error) {
      // Before `live` there is always something to deliver, so an intermediary buffers it.
      if (error instanceof HttpFailure && error.kind === 'timeout' && !live) this.#fail('stalled', error.message)
      throw error
    } finally {
      this.#stream = 'none'
      // The failure has been reported.
      this.#catchUp.streamReceived()
    }
    throw new HttpFailure('network', 'The stream ended.')
  }

  async #poll(waitS: number, signal: AbortSignal): Promise<void> {
    const page = await this.#fetchPage(waitS, signal)
    this.#onSuccess()
    this.#breaks = 0
    this.#receivedAt = this.#ports.clock.now()
    this.#deliverPage(page)
  }

  /** Polls beside the stream. @returns whether there were entries that the stream should have delivered */
  async #pollAside(): Promise<boolean> {
    const page = await this.#fetchPage(0, this.#end.signal)
    if (this.#closed) return false
    if (page.reset === true && this.#position.attached) {
      // The restarted stream delivers the reset.
      this.#endRequest?.()
      return false
    }
    return this.#deliverPage(page) && this.#stream !== 'none'
  }

  /** @returns whether the page had entries that were not delivered yet */
  #deliverPage({ entries, cursor, live, role, reset, presence }: Page): boolean {
    const { session, id } = this.#attach
    const isAttached = role !== this.#position.role || reset === true
    const frames: ServerFrame[] = []
    if (isAttached) {
      frames.push({ type: 'attached', id, session, cursor, role, reset })
    }
    frames.push(...entries)
    if (live && (!this.#position.live || isAttached)) frames.push({ type: 'live', session, cursor })
    if (presence !== undefined && (isAttached || presence.tag === undefined || presence.tag !== this.#presenceTag)) {
      const { members, count } = presence
      this.#presenceTag = presence.tag
      frames.push({ type: 'presence', session, members, count })
    }
    const before = this.#position.cursor
    // The next page, from here, has the rest.
    if (this.#deliver(frames)) return true
    const hasNew = this.#position.cursor !== before && entries.length > 0
    this.#advance(cursor)
    return hasNew
  }

  async #fetchPage(waitS: number, signal: AbortSignal): Promise<Page> {
    const { policy, caller } = this.#ports
    const timeoutMs = waitS * 1_000 + policy.timeoutMs + policy.stallMs
    // With the tag, the poll also returns when presence changes.
    const path = this.#path(waitS > 0 ? { wait: String(waitS), here: this.#presenceTag } : {})
    // A poll beside a stream is not a resume.
    const headers = this.#ports.usesStream ? {} : this.#resumeHeaders()
    const { body } = await caller.json({ method: 'GET', path, headers, timeoutMs, signal })
    if (!isPage(body)) throw new HttpFailure('intermediary', 'The answer to a poll is not a page of entries.')
    return body
  }

  /** For metrics: what the first request, or one after a break, resumes from. */
  #resumeHeaders(): Readonly<Record<string, string>> {
    const { kind, clock } = this.#ports
    const { attached, isRunning } = this.#position
    if (!attached) return resumeHeaders(this.#attach.resume)
    if (this.#breaks === 0) return {}
    return resumeHeaders(resumption({ kind, receivedAt: this.#receivedAt }, clock.now(), isRunning))
  }

  #path(query: Readonly<Record<string, string | undefined>>): string {
    const fields = given({ after: this.#position.cursor, presence: '1', ...query })
    return `${sessionPath(this.#attach.session)}/events?${new URLSearchParams(fields as Record<string, string>)}`
  }

  /** @returns whether the rest must be requested again */
  #deliver(received: readonly ServerFrame[]): boolean {
    if (this.#closed) return false
    const { frames, isSplit } = this.#position.filter(received)
    this.#leaving ||= frames.some((frame) => frame.type === 'goaway')
    if (frames.length > 0) this.#ports.frames(frames)
    this.#onAdvanced()
    return isSplit
  }

  /** Everything up to the cursor is delivered. */
  #advance(cursor: string): void {
    this.#position.advance(cursor)
    this.#onAdvanced()
  }

  /** Must follow the delivery of frames. */
  #onAdvanced(): void {
    const { cursor } = this.#position
    if (cursor === this.#notified) return
    this.#notified = cursor
    this.#position.notifyReached()
    this.#catchUp.delivered()
  }

  #onSuccess(): void {
    if (this.#position.attached && this.#breaks > 0) this.#ports.resumed(this.#attach.session)
  }

  async #onBreak(error: unknown, openMs: number): Promise<void> {
    if (this.#closed || this.#leaving) return
    const failure = error instanceof HttpFailure ? error : new HttpFailure('network', 'The answer was cut off.')
    const { reconnect, clock, usesStream } = this.#ports
    if (openMs >= STABLE_MS) this.#breaks = 0
    this.#breaks += 1
    if (failure.kind === 'problem') this.#onRefusal(failure)
    else if (failure.kind === 'intermediary') this.#fail('refused', failure.message)
    else if (this.#breaks >= MAX_BREAKS) {
      // A stream that was never attached is blocked, although other requests work.
      this.#fail(usesStream && !this.#position.attached ? 'refused' : 'broken', failure.message, openMs)
    } else if (!usesStream && openMs > WAIT_MIN_S * 2_000) {
      this.#waitS = Math.max(WAIT_MIN_S, Math.floor(this.#waitS / 2))
    }
    await this.#pause((failure.retryAfterMs ?? 0) + backoff(reconnect, this.#breaks, clock.random()))
  }

  #onRefusal(failure: HttpFailure): void {
    const { code, retryable, retryAfterMs } = failure
    if (code === 'unauthenticated') {
      this.#ports.lost({ kind: 'by-server', code: NOT_AUTHENTICATED, reason: 'not authenticated' })
    } else if (code === 'going_away') {
      this.#ports.lost({ kind: 'by-server', code: 4503, reason: failure.message, retryAfterMs })
    } else if (!retryable || !this.#position.attached || this.#breaks >= MAX_REFUSALS) {
      // The session handles the error.
      this.#closed = true
      this.#catchUp.close()
      this.#ports.frames([errorOf(this.#attach.id, failure)])
    }
  }

  #fail(kind: LossKind, reason: string, openMs?: number): void {
    if (this.#closed) return
    this.#ports.lost({ kind, code: ABNORMAL, reason, openMs })
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

/** The part of a poll's answer that the feed uses. */
interface Page {
  readonly cursor: string
  readonly entries: readonly EntryFrame[]
  readonly live: boolean
  readonly role: string
  readonly reset?: true
  readonly presence?: Pick<Presence, 'members' | 'count'> & { readonly tag?: string }
}

function isPage(value: unknown): value is Page {
  const fields = { cursor: 'string', role: 'string', entries: 'object', live: 'boolean' } as const
  return hasFields(value, fields) && Array.isArray(value.entries)
}
