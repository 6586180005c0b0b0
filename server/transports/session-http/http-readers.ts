// HttpReaders: the readers behind the streams and polls of plain HTTP. A stream's reader lives as long as the stream.
// The server cuts a stream that stays behind for too long, and ends all streams, spread over time, when the node
// drains.
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
import type { ReaderClient, ReaderStart } from '../feed/reader-ports.ts'
import type { DrainNotice, HttpExchange } from '../http/http-exchange.ts'
import { onAbort } from '../http/http-request.ts'
import type { HttpStream } from '../http/http-stream.ts'
import { callerOf, connectionOf, resumeOf } from './caller.ts'
import { type PageDone, PageSink } from './page-sink.ts'
import type { RunFilter } from './run-filter.ts'
import { type StreamForm, StreamSink } from './stream-sink.ts'

export interface HttpReadersPorts {
  readonly stores: SessionStores
  readonly hub: Hub
  readonly service: SessionService
  readonly logger: Logger
  /** Milliseconds for which a reader that was live may be behind. */
  readonly behindMs: number
  readonly metrics?: TransportMetrics | undefined
  readonly activeReaders?: ActiveReaders | undefined
}

export interface ReadOptions {
  readonly session: string
  readonly after: Cursor | undefined
  /** `after` was chosen by the server; it is not a cursor of the client. */
  readonly fresh?: boolean
  readonly merge: boolean
  /** For a stream: the longest silence in milliseconds that the client wants. */
  readonly heartbeatMs?: number | undefined
  /** Set to read a single run. */
  readonly filter: RunFilter | undefined
  /** Called when the stream has started, with a function that sends presence. */
  readonly onAttached?: (notify: (frame: Presence) => void) => void
}

export interface Page extends PageDone {
  /** Frames, separated by commas. */
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
const OUTAGE: ServerFrame = {
  type: 'error',
  code: 'unavailable',
  message: 'The log is unavailable at the moment. The stream continues when it recovers.',
  retryable: ERRORS.unavailable.retryable,
}

const CONTENT_TYPES: Readonly<Record<StreamForm, string>> = {
  sse: 'text/event-stream; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
}

export class HttpReaders {
  readonly #ports: HttpReadersPorts
  readonly #open = new Set<Open>()
  #watchTimer: NodeJS.Timeout | undefined

  constructor(ports: HttpReadersPorts) {
    this.#ports = ports
  }

  /**
   * Starts a stream. Resolves when its reader is attached; the stream continues in the background.
   * @throws ReplyError, StorageError: nothing was sent
   */
  async stream(exchange: HttpExchange, form: StreamForm, reading: ReadOptions): Promise<void> {
    const { request, draining } = exchange
    if (draining !== undefined) throw new ReplyError('going_away')
    const sink = new StreamSink(() => this.#opened(exchange, form, sink, reader, reading), form, reading.filter)
    const failed = (error: unknown): void => {
      if (error instanceof ReplyError) {
        const { code, message, retryable } = error
        sink.write({ type: 'error', session: reading.session, code, message, retryable })
        // Clients take a clean end for the end of the answer.
        if (reading.filter !== undefined || retryable) sink.abort()
        else sink.end()
        return
      }
      this.#ports.logger.error({ err: error, session: reading.session, request: request.id }, 'an HTTP stream failed')
      sink.abort()
    }
    const reader = new Reader(this.#ports, sink, this.#clientOf(exchange, form, failed), startOf(exchange, reading))
    onAbort(request.signal, () => reader.close())
    await reader.attach()
    reading.onAttached?.((frame) => {
      // A slow reader skips presence frames; each frame replaces the previous one.
      if (!sink.full && !request.signal.aborted) sink.write(frame)
    })
  }

  /**
   * Resolves with the next page: at once, or as a long poll when there is an entry or the wait ends.
   * @param changes of something else that is worth an empty page
   * @throws ReplyError, StorageError
   */
  async page(
    exchange: HttpExchange,
    reading: ReadOptions,
    waitMs: number,
    changes?: { onChange(listener: () => void): void },
  ): Promise<Page> {
    const { request } = exchange
    this.#ports.activeReaders?.notePoll(reading.session)
    return new Promise<Page>((resolve, reject) => {
      const close = (): void => {
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
        close()
      }
      const failed = (error: unknown): void => {
        close()
        reject(error)
      }
      const sink = new PageSink({ waits: waitMs > 0, filter: reading.filter, done })
      const reader = new Reader(this.#ports, sink, this.#clientOf(exchange, 'poll', failed), startOf(exchange, reading))
      let timer = waitMs > 0 ? setTimeout(() => sink.stopWaiting(), waitMs) : undefined
      onAbort(request.signal, () => done({ live: false }))
      exchange.onDrain(({ withinMs }) => {
        if (timer === undefined) return
        clearTimeout(timer)
        timer = setTimeout(() => sink.stopWaiting(), Math.random() * withinMs)
      })
      if (waitMs > 0) changes?.onChange(() => sink.stopWaiting())
      reader.attach().catch(failed)
    })
  }

  /** The last sequence number of the session that this node has read. @throws StorageError, CursorLost */
  async head(session: string): Promise<Seq> {
    const lease = await this.#ports.hub.retain(session)
    lease.release()
    return lease.feed.position
  }

  /** Notifies streams that the log is unavailable, or that they are live again. */
  notifyOutage(ongoing: boolean): void {
    for (const { reader, sink } of this.#open) {
      if (!ongoing) reader.sendLive()
      else sink.write(OUTAGE)
    }
  }

  #opened(
    exchange: HttpExchange,
    form: StreamForm,
    sink: StreamSink,
    reader: Reader,
    { heartbeatMs }: ReadOptions,
  ): HttpStream {
    const stream = exchange.stream(200, {
      'Content-Type': CONTENT_TYPES[form],
      'X-Accel-Buffering': 'no',
    })
    if (heartbeatMs !== undefined) stream.heartbeatWithin(heartbeatMs)
    if (form === 'sse') stream.write(retryField())
    const open: Open = { reader, sink, stream }
    this.#open.add(open)
    this.#watchTimer ??= setInterval(() => this.#watch(), WATCH_MS)
    stream.onClose(() => {
      this.#open.delete(open)
      if (this.#open.size > 0) return
      clearInterval(this.#watchTimer)
      this.#watchTimer = undefined
    })
    exchange.onDrain((draining) => goAway(open, draining))
    return stream
  }

  #clientOf({ request }: HttpExchange, door: ReaderReport['door'], readFailed: (error: unknown) => void): ReaderClient {
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
      if (since !== undefined && now - since > this.#ports.behindMs) stream.abort()
    }
  }
}

/**
 * The first field of the first event, because many clients pass on a block without data as an event. Random, so that
 * clients that were disconnected together do not reconnect together.
 */
function retryField(): string {
  return `retry: ${Math.round(RETRY_MS * (1 + 2 * Math.random()))}\n`
}

function startOf(
  { request }: HttpExchange,
  { session, after, fresh = false, merge, filter }: ReadOptions,
): ReaderStart {
  const keep = filter === undefined ? {} : { keep: filter.keep }
  return { session, id: request.id, after, resume: resumeOf(request), fresh, merge, ...keep }
}

function goAway({ sink, stream }: Open, { reason, withinMs }: DrainNotice): void {
  const reconnectAfterMs = Math.floor(Math.random() * withinMs)
  sink.write({ type: 'goaway', reason, reconnectAfterMs })
  const timer = setTimeout(() => stream.abort(), reconnectAfterMs)
  stream.onClose(() => clearTimeout(timer))
}
