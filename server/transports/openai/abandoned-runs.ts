// AbandonedRuns: cancels a run some time after its client has disconnected, so that it causes no further cost. The
// routes watch only those runs that the client cannot find again.
import { makeId, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Caller } from '../../session/commands/caller.ts'
import type { SessionService } from '../../session/session-service.ts'
import { StorageError } from '../../store/ports/errors.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { onAbort } from '../http/http-request.ts'
import type { JobName } from '../jobs/job-id.ts'

export interface AbandonedRunsPorts {
  readonly service: SessionService
  readonly logger: Logger
  /** Milliseconds between the disconnect and the cancel. */
  readonly graceMs: number
}

export class AbandonedRuns {
  readonly #ports: AbandonedRunsPorts
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(ports: AbandonedRunsPorts) {
    this.#ports = ports
  }

  /** @returns a function to call when the client has its answer */
  watch({ request }: HttpExchange, name: JobName, caller: Caller): () => void {
    let answered = false
    onAbort(request.signal, () => {
      if (answered) return
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        this.#cancel(name, caller)
      }, this.#ports.graceMs)
      this.#timers.add(timer)
    })
    return () => {
      answered = true
    }
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  #cancel({ session, run }: JobName, caller: Caller): void {
    const { service, logger } = this.#ports
    service.cancel({ type: 'cancel', id: makeId('cmd'), session, run }, caller).catch((error: unknown) => {
      // The run continues up to its own limits.
      const level = error instanceof ReplyError || error instanceof StorageError ? 'warn' : 'error'
      logger[level]({ err: error, session, run }, 'failed to cancel the run of a disconnected client')
    })
  }
}
