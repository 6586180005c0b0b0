// LogFollower: reads a session's log, each entry once and in order, and resumes after interruptions until it is closed.
// It reads an NDJSON stream, which does not merge outputs. If a proxy buffers streams, it falls back to long polling.
//
// While the page is hidden, it leaves its connection to visible pages: a browser opens only a few to one server.
//
//   requesting ──first frame──► reading ──ended, silent──► waiting ──► requesting        any ──► closed (denied)
import { acquireStream, ParleyError } from '@parley/client'
import type { EntryFrame, ServerFrame } from '@parley/protocol'
import { problemOf } from '../connection/requests.ts'

export interface FollowerEvents {
  /** @param role of the user in the session @param reset the entries read so far are void */
  attached(role: string, reset: boolean): void
  /** @returns false if the entry does not follow the previous one; the log is then read from its beginning */
  entry(frame: EntryFrame): boolean
  /** The follower has read the whole log. */
  live(): void
  /** The stream was interrupted; the follower retries. */
  lost(): void
  /** The follower fell back to long polling, which merges adjacent outputs of a run. */
  merges(): void
  /** The server denied access; the follower has stopped. */
  denied(error: ParleyError): void
}

export interface FollowerPorts {
  readonly origin: string
  readonly session: string
  headers(): Record<string, string>
  readonly events: FollowerEvents
  /** Default 10,000. */
  readonly firstByteMs?: number
}

/** The server sends a heartbeat at once, so a longer silence means that a proxy buffers the stream. */
const FIRST_BYTE_MS = 10_000
/** A stream without a heartbeat for this long is dead. */
const IDLE_MS = 45_000
/** Buffered streams in a row before the fallback to long polling. */
const MAX_BUFFERED = 2
const POLL_S = 25
const PAUSE_MS = 100
/** Until a hidden page, or one without a free connection, looks again. */
const IDLE_PAGE_MS = 1_000
const BACKOFF_MS = 500
const BACKOFF_MAX_MS = 10_000
/** Characters of one line. */
const LINE_MAX = 32 * 1024 * 1024

interface Page {
  readonly cursor: string
  readonly entries: readonly EntryFrame[]
  readonly live: boolean
  readonly role: string
  readonly reset?: true
}

export class LogFollower {
  readonly #ports: FollowerPorts
  readonly #closed = new AbortController()
  #after: string | undefined
  #failures = 0
  #polls = false
  /** Buffered streams in a row. */
  #buffered = 0

  constructor(ports: FollowerPorts) {
    this.#ports = ports
    this.#run().catch((error: unknown) => reportError(error))
  }

  close(): void {
    this.#closed.abort()
  }

  async #run(): Promise<void> {
    const { events, origin } = this.#ports
    const { signal } = this.#closed
    while (!signal.aborted) {
      const release = isHidden() ? undefined : await acquireStream(origin)
      if (release === undefined) {
        await sleep(IDLE_PAGE_MS, signal)
        continue
      }
      // Pause also after a clean end, because the server may end each stream at once.
      let waitMs = PAUSE_MS
      try {
        if (signal.aborted) return
        await (this.#polls ? this.#poll() : this.#stream())
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof ParleyError && !error.retryable) return events.denied(error)
        this.#failures += 1
        if (!this.#polls && this.#buffered >= MAX_BUFFERED) {
          this.#polls = true
          this.#failures = 0
          events.merges()
        }
        events.lost()
        waitMs = error instanceof ParleyError ? (error.retryAfterMs ?? 0) : 0
        waitMs += Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2)
      } finally {
        release()
      }
      await sleep(waitMs, signal)
    }
  }

  /** Returns when the stream ends cleanly, for example because the node stops. @throws if the stream breaks */
  async #stream(): Promise<void> {
    const request = new WatchedRequest(this.#closed.signal)
    try {
      const { body } = await this.#send('application/x-ndjson', '', request)
      if (body === null) throw new TypeError('The response has no body.')
      const reader = body.pipeThrough(new TextDecoderStream()).getReader()
      let rest = ''
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        request.expectWithin(IDLE_MS)
        this.#buffered = 0
        const lines = (rest + value).split('\n')
        rest = lines.pop() ?? ''
        if (rest.length > LINE_MAX) throw new RangeError('A line is too long.')
        for (const line of lines) if (line !== '') this.#handle(JSON.parse(line) as ServerFrame)
      }
    } catch (error) {
      if (request.isTimedOut) this.#buffered += 1
      throw error
    } finally {
      request.close()
    }
  }

  async #poll(): Promise<void> {
    const request = new WatchedRequest(this.#closed.signal)
    try {
      const response = await this.#send('application/json', `wait=${POLL_S}`, request, POLL_S * 1_000)
      const page = (await response.json()) as Page
      this.#ports.events.attached(page.role, page.reset === true)
      for (const entry of page.entries) this.#handle(entry)
      this.#after = page.cursor
      if (page.live) this.#live()
    } finally {
      request.close()
    }
  }

  #handle(frame: ServerFrame): void {
    const { events } = this.#ports
    switch (frame.type) {
      case 'attached':
        return events.attached(frame.role, frame.reset === true)
      case 'entry':
        if (!events.entry(frame)) {
          this.#after = undefined
          throw new RangeError('The entry does not follow the previous one.')
        }
        this.#after = frame.cursor
        return
      case 'live':
        this.#after = frame.cursor
        return this.#live()
      case 'error':
        if (!frame.retryable) throw new ParleyError(frame.code, frame.message)
        return events.lost()
      default:
    }
  }

  #live(): void {
    this.#failures = 0
    this.#ports.events.live()
  }

  async #send(accept: string, query: string, request: WatchedRequest, waitMs = 0): Promise<Response> {
    const { origin, session, headers, firstByteMs = FIRST_BYTE_MS } = this.#ports
    const after = this.#after === undefined ? '' : `after=${encodeURIComponent(this.#after)}`
    const search = [after, query].filter((part) => part !== '').join('&')
    request.expectWithin(firstByteMs + waitMs)
    const response = await fetch(`${origin}/v1/sessions/${session}/events${search === '' ? '' : `?${search}`}`, {
      headers: { Accept: accept, ...headers() },
      cache: 'no-store',
      signal: request.signal,
    })
    if (!response.ok) throw problemOf(response, await response.text())
    return response
  }
}

function isHidden(): boolean {
  return globalThis.document?.hidden === true
}

/** A request that is aborted if no bytes arrive in time, or if the page is hidden. */
class WatchedRequest {
  readonly #abort = new AbortController()
  readonly #closed: AbortSignal
  #timer: ReturnType<typeof setTimeout> | undefined
  #isTimedOut = false

  constructor(closed: AbortSignal) {
    this.#closed = closed
    closed.addEventListener('abort', this.#stop)
    globalThis.document?.addEventListener('visibilitychange', this.#hide)
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get isTimedOut(): boolean {
    return this.#isTimedOut
  }

  /** Restarts the timeout. */
  expectWithin(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#isTimedOut = true
      this.#stop()
    }, ms)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#closed.removeEventListener('abort', this.#stop)
    globalThis.document?.removeEventListener('visibilitychange', this.#hide)
    this.#abort.abort()
  }

  readonly #stop = (): void => this.#abort.abort()
  readonly #hide = (): void => {
    if (isHidden()) this.#stop()
  }
}

/** Resolves early if the signal is aborted. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
