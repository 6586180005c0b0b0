// TransportMetrics: who comes through which door, who comes back after what, who does not keep up, and who is sent away.
import { READER_DOORS } from '@parley/protocol'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { doorLabel } from './labels.ts'

export type ReaderDoor = (typeof READER_DOORS)[number]

/** What a scrape asks for. */
export interface TransportCounts {
  readonly webSockets: number
  readonly requests: number
  readonly streams: number
  /** Bytes that wait for slow sockets. */
  readonly unsentBytes: number
  /** Sessions that somebody here reads. */
  readonly followed: number
}

/** Seconds. */
const GAP_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 300, 1800]
const REPLAY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** As OpenTelemetry's conventions for HTTP name them. */
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

export class TransportMetrics {
  readonly #attaches: Counter<'door' | 'variant' | 'kind'>
  readonly #resumes: Counter<'door' | 'variant' | 'from'>
  readonly #gap: Histogram<'door' | 'variant' | 'from'>
  readonly #replay: Histogram<'door' | 'variant'>
  readonly #behind: Counter<'door' | 'variant'>
  readonly #refusals: Counter<'door' | 'variant' | 'code'>
  readonly #disconnects: Counter<'door' | 'variant' | 'code'>
  readonly #requests: Histogram
  /** Readers that are here. */
  readonly #readers = new Map<string, number>(READER_DOORS.map((door) => [door, 0]))

  constructor(registry: Registry) {
    const registers = [registry]
    const readers = this.#readers
    this.#attaches = new Counter({
      name: 'parley_attaches_total',
      help: 'Readers that began: new, resumed from a cursor, or reset because theirs could not be gone on from.',
      labelNames: ['door', 'variant', 'kind'],
      registers,
    })
    this.#resumes = new Counter({
      name: 'parley_resumes_total',
      help: 'Clients that told that they come back after a connection, by the door of before; another one is a change of door.',
      labelNames: ['door', 'variant', 'from'],
      registers,
    })
    this.#gap = new Histogram({
      name: 'parley_resume_gap_seconds',
      help: 'For how long a client in mid-run had heard nothing until it was live again, as it felt it.',
      labelNames: ['door', 'variant', 'from'],
      buckets: GAP_BUCKETS,
      registers,
    })
    this.#replay = new Histogram({
      name: 'parley_replay_duration_seconds',
      help: 'From the attach of a reader until it was live.',
      labelNames: ['door', 'variant'],
      buckets: REPLAY_BUCKETS,
      registers,
    })
    this.#behind = new Counter({
      name: 'parley_readers_fell_behind_total',
      help: 'Times that a live reader did not keep up and had to catch up from the log.',
      labelNames: ['door', 'variant'],
      registers,
    })
    this.#refusals = new Counter({
      name: 'parley_refusals_total',
      help: 'Commands and requests that were answered with an error, by its code.',
      labelNames: ['door', 'variant', 'code'],
      registers,
    })
    this.#disconnects = new Counter({
      name: 'parley_disconnects_total',
      help: 'Connections that the server ended, by the close code.',
      labelNames: ['door', 'variant', 'code'],
      registers,
    })
    this.#requests = new Histogram({
      name: 'http_server_request_duration_seconds',
      help: 'Time until a request was answered, or its stream begun.',
      labelNames: ['http_request_method', 'http_route', 'http_response_status_code'],
      buckets: REQUEST_BUCKETS,
      registers,
    })
    new Gauge({
      name: 'parley_readers',
      help: 'Readers of sessions: one for each session that a connection reads.',
      labelNames: ['door'],
      registers,
      collect() {
        for (const [door, count] of readers) this.set({ door }, count)
      },
    })
  }

  /** Tells at each scrape what is open. */
  watch(registry: Registry, counts: () => TransportCounts): void {
    new Gauge({
      name: 'parley_connections',
      help: 'Connections that are open: WebSockets, HTTP streams, other HTTP requests.',
      labelNames: ['kind'],
      registers: [registry],
      collect() {
        const { webSockets, streams, requests } = counts()
        this.set({ kind: 'websocket' }, webSockets)
        this.set({ kind: 'stream' }, streams)
        this.set({ kind: 'request' }, Math.max(0, requests - streams))
      },
    })
    new Gauge({
      name: 'parley_unsent_bytes',
      help: 'Bytes that wait for slow sockets.',
      registers: [registry],
      collect() {
        this.set(counts().unsentBytes)
      },
    })
    new Gauge({
      name: 'parley_sessions_followed',
      help: 'Sessions that somebody reads on this node, or did a moment ago.',
      registers: [registry],
      collect() {
        this.set(counts().followed)
      },
    })
  }

  readerCame(door: ReaderDoor): void {
    this.#readers.set(door, (this.#readers.get(door) ?? 0) + 1)
  }

  readerLeft(door: ReaderDoor): void {
    this.#readers.set(door, (this.#readers.get(door) ?? 0) - 1)
  }

  /** A reader is live for the first time. @param seconds since it came */
  readerLive({ door, variant = '', isBack, resume, wasReset }: ReaderArrival, seconds: number): void {
    // A poll goes on from where the last one ended: that is no coming back.
    if (door === 'poll' && resume === undefined) return
    this.#attaches.inc({ door, variant, kind: !isBack ? 'new' : wasReset ? 'reset' : 'resumed' })
    this.#replay.observe({ door, variant }, seconds)
    if (resume === undefined) return
    const from = doorLabel(resume.door)
    this.#resumes.inc({ door, variant, from })
    if (resume.gapMs !== undefined) this.#gap.observe({ door, variant, from }, resume.gapMs / 1000 + seconds)
  }

  readerFellBehind({ door, variant = '' }: ReaderOrigin): void {
    this.#behind.inc({ door, variant })
  }

  /** @param variant of an experiment; undefined for one who takes part in none, or is not known yet */
  refused(door: 'websocket' | 'http', code: string, variant = ''): void {
    this.#refusals.inc({ door, variant, code })
  }

  disconnected(code: number, variant = ''): void {
    this.#disconnects.inc({ door: 'websocket', variant, code: String(code) })
  }

  answered(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe(
      { http_request_method: method, http_route: route, http_response_status_code: String(status) },
      seconds,
    )
  }
}

/** What a client tells of its connection before. */
interface Before {
  readonly door: string
  readonly gapMs?: number | undefined
}

/** Whose reader it is. */
export interface ReaderOrigin {
  readonly door: ReaderDoor
  /** Of an experiment that the user takes part in. */
  readonly variant: string | undefined
}

/** One reader of a session, from its arrival until it is live. */
export class ReaderArrival {
  readonly door: ReaderDoor
  readonly variant: string | undefined
  readonly resume: Before | undefined
  /** It brought a cursor. */
  readonly isBack: boolean
  readonly #since = performance.now()
  #wasReset = false

  constructor({ door, variant }: ReaderOrigin, resume: Before | undefined, isBack: boolean) {
    this.door = door
    this.variant = variant
    this.resume = resume
    this.isBack = isBack
  }

  /** What it held could not be gone on from. */
  get wasReset(): boolean {
    return this.#wasReset
  }

  reset(): void {
    this.#wasReset = true
  }

  live(metrics: TransportMetrics): void {
    metrics.readerLive(this, (performance.now() - this.#since) / 1000)
  }
}
