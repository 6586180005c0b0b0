// Readings: the readers behind plain HTTP's streams and polls. A stream's reader goes with its stream; who cannot keep up
// for too long is cut, and who is here when the node stops is told where to go, spread over the time that is left.
import { type Cursor, ERRORS, type Presence, ReplyError, type ServerFrame } from '@parley/protocol'
import type { Logger } from 'pino'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { Seq } from '../../store/ports/entry.ts'
import type { ActiveReaders } from '../feed/active-readers.ts'
import type { ReaderReport } from '../feed/feed.ts'
import type { Hub } from '../feed/hub.ts'
import { Reader } from '../feed/reader.ts'
import type { ReaderOwner, ReaderStart } from '../feed/reader-ports.ts'
import type { HttpExchange, Leaving } from '../http/http-exchange.ts'
import { onAbort } from '../http/http-request.ts'
import type { HttpStream } from '../http/http-stream.ts'
import { callerOf, connectionOf, resumeOf } from './caller.ts'
import { type PageDone, PageSink } from './page-sink.ts'
import type { RunFilter } from './run-filter.ts'
import { type StreamForm, StreamSink } from './stream-sink.ts'

export interface ReadingsPorts {
  readonly stores: SessionStores
  readonly hub: Hub
  readonly service: SessionService
  readonly logger: Logger
  /** Milliseconds for which a reader that was live may stay behind. */
  readonly behindMs: number
  readonly metrics?: TransportMetrics | undefined
  readonly activeReaders?: ActiveReaders | undefined
}

export interface Reading {
  readonly session: string
  readonly after: Cursor | undefined
  /** `after` is none that its client gave. */
  readonly fresh?: boolean
  readonly merge: boolean
  /** Only one run is read. */
  readonly filter: RunFilter | undefined
  /** The stream has begun: it may be told who is here. */
  readonly begun?: (tell: (frame: Presence) => void) => void
}

export interface Page extends PageDone {
  /** Frames with commas between. */
  readonly items: string
  readonly empty: boolean
  readonly reset: boolean
  readonly role: string
  readonly position: Seq
}

interface Open {
  readonly reader: Reader
  readonly sink: StreamSink
  readonly stream: HttpStream
}

const WATCH_MS = 5_000
const RETRY_MS = 1_000
const AWAY: ServerFrame = {
  type: 'error',
  code: 'unavailable',
  message: 'The log cannot be reached at the moment: what you read stands still.',
  retryable: ERRORS.unavailable.retryable,
}

const CONTENT_TYPES: Readonly<Record<StreamForm, string>> = {
  sse: 'text/event-stream; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
}

export class Readings {
  readonly #ports: ReadingsPorts
  readonly #open = new Set<Open>()
  #watching: NodeJS.Timeout | undefined

  constructor(ports: ReadingsPorts) {
    this.#ports = ports
  }

  /**
   * Begins a stream and resolves when its reader is attached; the rest goes on by itself.
   * @throws ReplyError, StorageError: then nothing was sent
   */
  async stream(exchange: HttpExchange, form: StreamForm, reading: Reading): Promise<void> {
    const { request, leaving } = exchange
    if (leaving !== undefined) throw new ReplyError('going_away', undefined, { retryAfterMs: leaving.withinMs })
    const sink = new StreamSink(() => this.#opened(exchange, form, sink, reader), form, reading.filter)
    const failed = (error: unknown): void => {
      if (error instanceof ReplyError) {
        const { code, message, retryable } = error
        sink.write({ type: 'error', session: reading.session, code, message, retryable })
        sink.end()
        return
      }
      this.#ports.logger.error({ err: error, session: reading.session, request: request.id }, 'a stream cannot go on')
      sink.cut()
    }
    const reader = new Reader(this.#ports, sink, this.#owner(exchange, form, failed), startOf(exchange, reading))
    onAbort(request.signal, () => reader.close())
    await reader.attach()
    reading.begun?.((frame) => {
      // Who cannot keep up is not told of each change: another frame comes after the next.
      if (!sink.full && !request.signal.aborted) sink.write(frame)
    })
  }

  /**
   * Resolves with the next page: at once, or when there is something or the wait is over.
   * @param news of something else that is worth an empty page
   * @throws ReplyError, StorageError
   */
  async page(
    exchange: HttpExchange,
    reading: Reading,
    waitMs: number,
    news?: { onNews(arrived: () => void): void },
  ): Promise<Page> {
    const { request } = exchange
    this.#ports.activeReaders?.ask(reading.session)
    return new Promise<Page>((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        reader.close()
      }
      const done = ({ live }: PageDone): void => {
        resolve({
          live,
          items: sink.items,
          empty: sink.empty,
          reset: sink.reset,
          role: sink.role,
          position: reader.position,
        })
        leave()
      }
      const failed = (error: unknown): void => {
        leave()
        reject(error)
      }
      const sink = new PageSink({ waits: waitMs > 0, filter: reading.filter, done })
      const reader = new Reader(this.#ports, sink, this.#owner(exchange, 'poll', failed), startOf(exchange, reading))
      let timer = waitMs > 0 ? setTimeout(() => sink.waitNoMore(), waitMs) : undefined
      onAbort(request.signal, () => done({ live: false }))
      exchange.onLeaving(({ withinMs }) => {
        if (timer === undefined) return
        clearTimeout(timer)
        timer = setTimeout(() => sink.waitNoMore(), Math.random() * withinMs)
      })
      if (waitMs > 0) news?.onNews(() => sink.waitNoMore())
      reader.attach().catch(failed)
    })
  }

  /** The last sequence number in the session, as far as this node has read. @throws StorageError, CursorLost */
  async head(session: string): Promise<Seq> {
    const lease = await this.#ports.hub.retain(session)
    lease.release()
    return lease.feed.position
  }

  /** Tells streams that the log is away, or that what was live is so again. */
  tell(log: 'away' | 'back'): void {
    for (const { reader, sink } of this.#open) {
      if (log === 'back') reader.tellLive()
      else sink.write(AWAY)
    }
  }

  #opened(exchange: HttpExchange, form: StreamForm, sink: StreamSink, reader: Reader): HttpStream {
    const stream = exchange.stream(200, {
      'Content-Type': CONTENT_TYPES[form],
      'X-Accel-Buffering': 'no',
    })
    // Clients that were cut off together should not come back together.
    if (form === 'sse') stream.write(`retry: ${Math.round(RETRY_MS * (1 + 2 * Math.random()))}\n\n`)
    const open: Open = { reader, sink, stream }
    this.#open.add(open)
    this.#watching ??= setInterval(() => this.#watch(), WATCH_MS)
    stream.onClose(() => {
      this.#open.delete(open)
      if (this.#open.size > 0) return
      clearInterval(this.#watching)
      this.#watching = undefined
    })
    exchange.onLeaving((leaving) => goAway(open, leaving))
    return stream
  }

  #owner({ request }: HttpExchange, door: ReaderReport['door'], readFailed: (error: unknown) => void): ReaderOwner {
    return {
      user: request.user,
      connection: connectionOf(request) ?? request.id,
      door,
      variant: request.experiment?.variant,
      admit: (session) => this.#ports.service.admit(session, callerOf(request), 'read'),
      readFailed: (_session, error) => readFailed(error),
    }
  }

  #watch(): void {
    const now = performance.now()
    for (const { reader, stream } of this.#open) {
      const since = reader.behindSince
      if (since !== undefined && now - since > this.#ports.behindMs) stream.cut()
    }
  }
}

function startOf({ request }: HttpExchange, { session, after, fresh = false, merge, filter }: Reading): ReaderStart {
  const keep = filter === undefined ? {} : { keep: filter.keep }
  return { session, id: request.id, after, resume: resumeOf(request), fresh, merge, ...keep }
}

function goAway({ sink, stream }: Open, { reason, withinMs }: Leaving): void {
  const reconnectAfterMs = Math.floor(Math.random() * withinMs)
  sink.write({ type: 'goaway', reason, reconnectAfterMs })
  const timer = setTimeout(() => stream.end(), reconnectAfterMs)
  stream.onClose(() => clearTimeout(timer))
}
