// readRun: passes the entries of one run, with their positions, from a cursor to the run's end. The stream of the answer
// decides about backpressure.
import { type Cursor, type Event, parseCursor, parseJson, ReplyError, type ServerFrame } from '@parley/protocol'
import type { Logger } from 'pino'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { MessageData } from '../feed/entry-message.ts'
import type { Hub } from '../feed/hub.ts'
import { Reader } from '../feed/reader.ts'
import type { ReaderSink } from '../feed/reader-ports.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { onAbort } from '../http/http-request.ts'
import type { HttpStream } from '../http/http-stream.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { HttpSink } from '../session-http/http-sink.ts'
import { isOutputOfOther, RunFilter } from '../session-http/run-filter.ts'

export interface RunEntry {
  readonly cursor: Cursor
  readonly seq: number
  readonly event: Event
}

export interface RunEntriesPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly hub: Hub
  readonly logger: Logger
  readonly metrics?: TransportMetrics | undefined
}

export interface RunEntryEvents {
  entry(entry: RunEntry): void
  /** The entries follow again from the beginning. */
  reset(): void
  /** The run can no longer be read. */
  failed(error: unknown): void
}

/**
 * Resolves when the reader is attached; it continues in the background.
 * @param below the child runs that exist, at all levels. Their entries are passed, too, but not their output.
 * @throws ReplyError, StorageError
 */
export async function readRun(
  ports: RunEntriesPorts,
  exchange: HttpExchange,
  { session, run, after, below }: JobName & { readonly after: Cursor; readonly below: readonly string[] },
  stream: HttpStream | undefined,
  events: RunEntryEvents,
): Promise<void> {
  const { request } = exchange
  const readFailed = (_: string, error: unknown): void => {
    if (!(error instanceof ReplyError)) {
      ports.logger.error({ err: error, session, request: request.id }, 'an HTTP stream failed')
    }
    events.failed(error)
  }
  const filter = new RunFilter(run, below)
  const reader = new Reader(
    ports,
    new EntrySink(stream, events),
    {
      user: request.user,
      connection: request.id,
      door: 'mcp',
      variant: request.experiment?.variant,
      admit: () => ports.service.admit(session, callerOf(request), 'read'),
      readFailed,
    },
    {
      session,
      id: request.id,
      after,
      fresh: true,
      merge: false,
      keep: (entry) => filter.keep(entry) && !isOutputOfOther(run, entry),
    },
  )
  onAbort(request.signal, () => reader.close())
  await reader.attach()
}

class EntrySink extends HttpSink implements ReaderSink {
  readonly codec = 'list'
  readonly #events: RunEntryEvents

  constructor(stream: HttpStream | undefined, events: RunEntryEvents) {
    super()
    this.stream = stream
    this.#events = events
  }

  writeEntries(data: MessageData): void {
    const text = typeof data === 'string' ? data : Buffer.from(data).toString()
    const entries = parseJson(`[${text}]`) as readonly { readonly cursor: Cursor; readonly event: Event }[]
    for (const { cursor, event } of entries) this.#events.entry({ cursor, event, seq: parseCursor(cursor)?.seq ?? 0 })
  }

  write(frame: ServerFrame): void {
    if (frame.type === 'attached' && frame.reset === true) this.#events.reset()
    if (frame.type === 'error' && frame.code === 'forbidden') this.#events.failed(new ReplyError('forbidden'))
  }
}
