// LogFeed: reads a session's log as it is, each entry once and in order: by lines over HTTP, one for each entry, so that
// nothing is merged. Where a proxy keeps streams back it polls, and says so. Goes on from where it was until it is closed.
//
//   asking ──first frame──► reading ──ended, silent──► waiting ──► asking        any ──► closed (refused)
import type { EntryFrame, ServerFrame } from '@parley/protocol'
import { Refusal, readProblem } from './refusal.ts'

export interface FeedEvents {
  /** Who reads is this in the session. @param reset what was read before is void */
  attached(role: string, reset: boolean): void
  /** @returns false when it does not follow on what is held: then the session is read from its beginning */
  entry(frame: EntryFrame): boolean
  /** All up to now was handed on; a turn of the network may bring many entries before it. */
  live(): void
  /** It is cut off, and tries again. */
  lost(): void
  /** Polls bring neighbouring outputs of one run as one entry. */
  merges(): void
  refused(refusal: Refusal): void
}

export interface FeedPorts {
  readonly origin: string
  readonly session: string
  headers(): Record<string, string>
  readonly events: FeedEvents
  /** Milliseconds in which an answer has to begin; default 10,000. */
  readonly beginMs?: number
}

/** Milliseconds in which an answer has to begin, as it says by a first beat; and for which a stream may be silent then. */
const BEGIN_MS = 10_000
const SILENT_MS = 45_000
/** Streams of which nothing came, though they were taken, before polls are tried. */
const STREAMS_TRIED = 2
const WAIT_S = 25
const PAUSE_MS = 100
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

export class LogFeed {
  readonly #ports: FeedPorts
  readonly #end = new AbortController()
  #after: string | undefined
  #failures = 0
  #polls = false
  /** Streams in a row that somebody on the way kept. */
  #kept = 0

  constructor(ports: FeedPorts) {
    this.#ports = ports
    this.#run().catch((error: unknown) => reportError(error))
  }

  close(): void {
    this.#end.abort()
  }

  async #run(): Promise<void> {
    const { events } = this.#ports
    while (!this.#end.signal.aborted) {
      // Also after what ended in order: whoever ends it at once is not to be asked without a pause.
      let waitMs = PAUSE_MS
      try {
        await (this.#polls ? this.#poll() : this.#stream())
      } catch (error) {
        if (this.#end.signal.aborted) return
        if (error instanceof Refusal && !error.retryable) return events.refused(error)
        this.#failures += 1
        if (!this.#polls && this.#kept >= STREAMS_TRIED) {
          this.#polls = true
          this.#failures = 0
          events.merges()
        }
        events.lost()
        waitMs = error instanceof Refusal ? (error.retryAfterMs ?? 0) : 0
        waitMs += Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2)
      }
      await pause(waitMs, this.#end.signal)
    }
  }

  /** @throws whenever the stream breaks; returns when it ends in order, as it does when the node stops */
  async #stream(): Promise<void> {
    const request = this.#request()
    try {
      const { body } = await this.#ask('application/x-ndjson', '', request)
      if (body === null) throw new TypeError('The answer has no body.')
      const reader = body.pipeThrough(new TextDecoderStream()).getReader()
      let rest = ''
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        request.heard(SILENT_MS)
        this.#kept = 0
        const lines = (rest + value).split('\n')
        rest = lines.pop() ?? ''
        if (rest.length > LINE_MAX) throw new RangeError('A line is too long.')
        for (const line of lines) if (line !== '') this.#take(JSON.parse(line) as ServerFrame)
      }
    } catch (error) {
      if (request.late) this.#kept += 1
      throw error
    } finally {
      request.over()
    }
  }

  async #poll(): Promise<void> {
    const request = this.#request()
    try {
      const answer = await this.#ask('application/json', `wait=${WAIT_S}`, request, WAIT_S * 1_000)
      const page = (await answer.json()) as Page
      this.#ports.events.attached(page.role, page.reset === true)
      for (const entry of page.entries) this.#take(entry)
      this.#after = page.cursor
      if (page.live) this.#live()
    } finally {
      request.over()
    }
  }

  #take(frame: ServerFrame): void {
    const { events } = this.#ports
    switch (frame.type) {
      case 'attached':
        return events.attached(frame.role, frame.reset === true)
      case 'entry':
        if (!events.entry(frame)) {
          this.#after = undefined
          throw new RangeError('What came does not follow on what is held.')
        }
        this.#after = frame.cursor
        return
      case 'live':
        this.#after = frame.cursor
        return this.#live()
      case 'error':
        if (!frame.retryable) throw new Refusal(frame.code, frame.message, false)
        return events.lost()
      default:
    }
  }

  #live(): void {
    this.#failures = 0
    this.#ports.events.live()
  }

  async #ask(accept: string, query: string, request: Watched, waitMs = 0): Promise<Response> {
    const { origin, session, headers, beginMs = BEGIN_MS } = this.#ports
    const after = this.#after === undefined ? '' : `after=${encodeURIComponent(this.#after)}`
    const whole = [after, query].filter((part) => part !== '').join('&')
    request.heard(beginMs + waitMs)
    const answer = await fetch(`${origin}/v1/sessions/${session}/events${whole === '' ? '' : `?${whole}`}`, {
      headers: { Accept: accept, ...headers() },
      cache: 'no-store',
      signal: request.signal,
    })
    if (!answer.ok) throw await readProblem(answer)
    return answer
  }

  #request(): Watched {
    return new Watched(this.#end.signal)
  }
}

/** A request that is given up when nothing is heard of it for too long. */
class Watched {
  readonly #abort = new AbortController()
  readonly #end: AbortSignal
  #timer: ReturnType<typeof setTimeout> | undefined
  #late = false

  constructor(end: AbortSignal) {
    this.#end = end
    end.addEventListener('abort', this.#stop)
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Nothing was heard of it in time. */
  get late(): boolean {
    return this.#late
  }

  heard(withinMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#late = true
      this.#stop()
    }, withinMs)
  }

  over(): void {
    clearTimeout(this.#timer)
    this.#end.removeEventListener('abort', this.#stop)
    this.#abort.abort()
  }

  readonly #stop = (): void => this.#abort.abort()
}

function pause(ms: number, end: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      end.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    end.addEventListener('abort', done)
  })
}
