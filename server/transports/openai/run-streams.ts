// RunStreams: the readers behind the streams of the OpenAI API. Each reads one run from its message to its end, and
// passes its pieces to a translation. Nothing is sent that is not in the log.
import { type ErrorCode, type Event, formatCursor, ReplyError } from '@parley/protocol'
import { type PieceChange, RunPieces } from '@parley/protocol/run-pieces'
import type { Logger } from 'pino'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { Hub } from '../feed/hub.ts'
import { Reader } from '../feed/reader.ts'
import type { StreamingExchange } from '../http/http-exchange.ts'
import { onAbort } from '../http/http-request.ts'
import type { HttpStream } from '../http/http-stream.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { isOutputOfOther, RunFilter } from '../session-http/run-filter.ts'
import { EventSink } from './event-sink.ts'
import { drainDelayMs } from './run-wait.ts'

/**
 * Neither an event, nor a comment, nor an empty line: every parser ignores a field without a known name (HTML standard,
 * section 9.2.6). go-openai reports a later error without its message after a comment, and fetch-event-source passes on an
 * empty line as an event.
 */
const FILLER = Buffer.from(' \n')

export interface RunStreamsPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly hub: Hub
  readonly logger: Logger
  readonly metrics?: TransportMetrics | undefined
}

/** Writes the changes by one event of the run to the stream, if there are any, and ends the stream after the last one. */
export type Translation = (changes: readonly PieceChange[], stream: HttpStream, event: Event) => void

/** What differs between transports. */
export interface RunStreamRules {
  /** Of the metrics; default `openai`. */
  readonly door?: 'openai' | 'sse'
  /** Ends a stream before its run has ended; by default it is cut. */
  readonly broken?: (stream: HttpStream, code: ErrorCode) => void
  /** The child runs that exist, at all levels. The translation gets the events of all child runs, but no output; by default none. */
  readonly below?: readonly string[]
}

export class RunStreams {
  readonly #ports: RunStreamsPorts

  constructor(ports: RunStreamsPorts) {
    this.#ports = ports
  }

  /**
   * Starts a stream. Resolves when its reader is attached; the stream continues in the background.
   * @param from the sequence number of the run's message
   * @throws ReplyError, StorageError: nothing was sent
   */
  async begin(
    exchange: StreamingExchange,
    { session, run }: JobName,
    from: number,
    translate: Translation,
    { door = 'openai', broken = (stream) => stream.abort(), below }: RunStreamRules = {},
  ): Promise<void> {
    const { request, draining } = exchange
    if (draining !== undefined) throw new ReplyError('going_away')
    const { service, stores, logger } = this.#ports
    const pieces = new RunPieces(run)
    const filter = new RunFilter(run, below)
    const sink = new EventSink({
      open: () => {
        const stream = exchange.stream(
          200,
          {
            'Content-Type': 'text/event-stream; charset=utf-8',
            'X-Accel-Buffering': 'no',
          },
          FILLER,
        )
        // The client of a background response resumes its stream; any other sends its request again.
        exchange.onDrain(({ withinMs }) => {
          const timer = setTimeout(() => broken(stream, 'going_away'), drainDelayMs(withinMs))
          stream.onClose(() => clearTimeout(timer))
        })
        return stream
      },
      event: (event, stream) => translate(pieces.take(event), stream, event),
      reset: () => pieces.reset(),
    })
    const readFailed = (_session: string, error: unknown): void => {
      if (!(error instanceof ReplyError)) {
        logger.error({ err: error, session, request: request.id }, 'an HTTP stream failed')
      }
      if (sink.stream !== undefined) broken(sink.stream, error instanceof ReplyError ? error.code : 'unavailable')
    }
    const reader = new Reader(
      this.#ports,
      sink,
      {
        user: request.user,
        connection: request.id,
        door,
        variant: request.experiment?.variant,
        admit: () => service.admit(session, callerOf(request), 'read'),
        readFailed,
      },
      {
        session,
        id: request.id,
        after: formatCursor(stores.log.epoch, Math.max(0, from - 1)),
        fresh: true,
        merge: false,
        keep: (entry) => filter.keep(entry) && !isOutputOfOther(run, entry),
      },
    )
    onAbort(request.signal, () => reader.close())
    await reader.attach()
  }
}
