// TransportMetrics: readers by transport, reconnects, slow readers, refusals and disconnects. The label `door` is the
// transport.
import { READER_DOORS } from '@parley/protocol'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { doorLabel } from './labels.ts'

export type ReaderDoor = (typeof READER_DOORS)[number]

/** Current counts, read at each scrape. */
export interface TransportCounts {
  readonly webSockets: number
  readonly requests: number
  readonly streams: number
  /** Bytes buffered for slow sockets. */
  readonly unsentBytes: number
  /** Sessions with readers on this node. */
  readonly followed: number
}

/** Seconds. */
const GAP_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 300, 1800]
const REPLAY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** From OpenTelemetry's semantic conventions for HTTP. */
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
  /** Current readers by transport. */
  readonly #readers = new Map<string, number>(READER_DOORS.map((door) => [door, 0]))

  constructor(registry: Registry) {
    const registers = [registry]
    const readers = this.#readers
    this.#attaches = new Counter({
      name: 'parley_attaches_total',
      help: 'Readers that became live: new, resumed from a cursor, or reset because their cursor was not usable.',
      labelNames: ['door', 'variant', 'kind'],
      registers,
    })
    this.#resumes = new Counter({
      name: 'parley_resumes_total',
      help: 'Reconnected clients that reported their previous transport (from). If it is another one, the client changed transports.',
      labelNames: ['door', 'variant', 'from'],
      registers,
    })
    this.#gap = new Histogram({
      name: 'parley_resume_gap_seconds',
      help: 'Time without data that a reconnected client with an active run reported, until it was live again.',
      labelNames: ['door', 'variant', 'from'],
      buckets: GAP_BUCKETS,
      registers,
    })
    this.#replay = new Histogram({
      name: 'parley_replay_duration_seconds',
      help: 'Time from the attach of a reader until it was live.',
      labelNames: ['door', 'variant'],
      buckets: REPLAY_BUCKETS,
      registers,
    })
    this.#behind = new Counter({
      name: 'parley_readers_fell_behind_total',
      help: 'Live readers that were too slow and had to catch up from the log.',
      labelNames: ['door', 'variant'],
      registers,
    })
    this.#refusals = new Counter({
      name: 'parley_refusals_total',
      help: 'Commands and requests that failed, by error code.',
      labelNames: ['door', 'variant', 'code'],
      registers,
    })
    this.#disconnects = new Counter({
      name: 'parley_disconnects_total',
      help: 'WebSockets that the server closed, by close code.',
      labelNames: ['door', 'variant', 'code'],
      registers,
    })
    this.#requests = new Histogram({
      name: 'http_server_request_duration_seconds',
      help: 'Time until a response, or its stream, began.',
      labelNames: ['http_request_method', 'http_route', 'http_response_status_code'],
      buckets: REQUEST_BUCKETS,
      registers,
    })
    new Gauge({
      name: 'parley_readers',
      help: 'Current readers: one for each session that a connection reads.',
      labelNames: ['door'],
      registers,
      collect() {
        for (const [door, count] of readers) this.set({ door }, count)
      },
    })
  }

  /** Reports open connections at each scrape. */
  watch(registry: Registry, counts: () => TransportCounts): void {
    new Gauge({
      name: 'parley_connections',
      help: 'Open connections: WebSockets, HTTP streams, other HTTP requests.',
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
      help: 'Bytes buffered for slow sockets.',
      registers: [registry],
      collect() {
        this.set(counts().unsentBytes)
      },
    })
    new Gauge({
      name: 'parley_sessions_followed',
      help: 'Sessions that are read on this node, or were a moment ago.',
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

  /** A reader is live for the first time. @param seconds since its attach */
  readerLive({ door, variant = '', hasCursor, resume, wasReset }: ReaderArrival, seconds: number): void {
    // Each poll resumes from the end of the previous one, which is not a reconnect.
    if (door === 'poll' && resume === undefined) return
    this.#attaches.inc({ door, variant, kind: !hasCursor ? 'new' : wasReset ? 'reset' : 'resumed' })
    this.#replay.observe({ door, variant }, seconds)
    if (resume === undefined) return
    const from = doorLabel(resume.door)
    this.#resumes.inc({ door, variant, from })
    if (resume.gapMs !== undefined) this.#gap.observe({ door, variant, from }, resume.gapMs / 1000 + seconds)
  }

  readerFellBehind({ door, variant = '' }: ReaderOrigin): void {
    this.#behind.inc({ door, variant })
  }

  /** @param variant undefined if the user is in no experiment, or not known yet */
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

/** A client's report on its previous connection. */
interface PreviousConnection {
  readonly door: string
  readonly gapMs?: number | undefined
}

/** The labels of a reader. */
export interface ReaderOrigin {
  readonly door: ReaderDoor
  /** The user's variant in the experiment. */
  readonly variant: string | undefined
}

/** One reader of a session, from its attach until it is live. */
export class ReaderArrival {
  readonly door: ReaderDoor
  readonly variant: string | undefined
  readonly resume: PreviousConnection | undefined
  /** Whether it presented a cursor. */
  readonly hasCursor: boolean
  readonly #since = performance.now()
  #wasReset = false

  constructor({ door, variant }: ReaderOrigin, resume: PreviousConnection | undefined, hasCursor: boolean) {
    this.door = door
    this.variant = variant
    this.resume = resume
    this.hasCursor = hasCursor
  }

  /** Whether its cursor was not usable. */
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
