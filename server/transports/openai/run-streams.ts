// RunStreams: the readers behind streams of the OpenAI API. One reads one run from the place of its message to its end, and
// what it reads goes through a translation of the door's own; nothing is said that the log does not hold.
import { type Event, formatCursor, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { Hub } from '../feed/hub.ts'
import { Reader } from '../feed/reader.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { onAbort } from '../http/http-request.ts'
import type { HttpStream } from '../http/http-stream.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { RunFilter } from '../session-http/run-filter.ts'
import { EventSink } from './event-sink.ts'
import { lateWithin } from './run-wait.ts'

export interface RunStreamsPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly hub: Hub
  readonly logger: Logger
  readonly metrics?: TransportMetrics | undefined
}

/** Says one event of the run; ends the stream when that was the last that its client wants. */
export type Translation = (event: Event, stream: HttpStream) => void

export class RunStreams {
  readonly #ports: RunStreamsPorts

  constructor(ports: RunStreamsPorts) {
    this.#ports = ports
  }

  /**
   * Begins a stream and resolves when its reader is attached; the rest goes on by itself.
   * @param from the sequence number of the run's message
   * @throws ReplyError, StorageError: then nothing was sent
   */
  async begin(exchange: HttpExchange, { session, run }: JobName, from: number, say: Translation): Promise<void> {
    const { request, leaving } = exchange
    if (leaving !== undefined) throw new ReplyError('going_away', undefined, { retryAfterMs: leaving.withinMs })
    const { service, stores, logger } = this.#ports
    const sink = new EventSink({
      open: () => {
        const stream = exchange.stream(200, {
          'Content-Type': 'text/event-stream; charset=utf-8',
          'X-Accel-Buffering': 'no',
        })
        // Who reads a response in the background comes back to it; all others ask again.
        exchange.onLeaving(({ withinMs }) => {
          const timer = setTimeout(() => stream.cut(), lateWithin(withinMs))
          stream.onClose(() => clearTimeout(timer))
        })
        return stream
      },
      event: say,
    })
    const readFailed = (_session: string, error: unknown): void => {
      if (!(error instanceof ReplyError)) {
        logger.error({ err: error, session, request: request.id }, 'a stream cannot go on')
      }
      sink.stream?.cut()
    }
    const reader = new Reader(
      this.#ports,
      sink,
      {
        user: request.user,
        connection: request.id,
        door: 'openai',
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
        keep: new RunFilter(run).keep,
      },
    )
    onAbort(request.signal, () => reader.close())
    await reader.attach()
  }
}
