// AbandonedRuns: cancels a run some time after its client has disconnected, so that it causes no further cost. Deletes
// the session of an answer that must not be stored. The routes watch only those runs that the client cannot find again.
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
  /** Deletes a session. @throws ReplyError */
  deleteSession(session: string, caller: Caller): Promise<void>
}

export class AbandonedRuns {
  readonly #ports: AbandonedRunsPorts
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(ports: AbandonedRunsPorts) {
    this.#ports = ports
  }

  /**
   * @param isStored whether the session outlives the answer
   * @returns a function to call when the client has its answer
   */
  watch({ request }: HttpExchange, name: JobName, caller: Caller, isStored: boolean): () => void {
    let answered = false
    onAbort(request.signal, () => {
      if (answered) return
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        void this.#end(name, caller, isStored)
      }, this.#ports.graceMs)
      this.#timers.add(timer)
    })
    return () => {
      answered = true
      if (!isStored) void this.#delete(name, caller)
    }
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  async #end(name: JobName, caller: Caller, isStored: boolean): Promise<void> {
    const command = { type: 'cancel' as const, id: makeId('cmd'), ...name }
    // If it fails, the run continues up to its own limits.
    await this.#try(name, this.#ports.service.cancel(command, caller), 'cancel the run of a disconnected client')
    if (!isStored) await this.#delete(name, caller)
  }

  /** The sender of a message created its session, whatever else the access token allows. */
  #delete(name: JobName, caller: Caller): Promise<void> {
    const deletion = this.#ports.deleteSession(name.session, { ...caller, role: 'owner' })
    return this.#try(name, deletion, 'delete the session of an answer that must not be stored')
  }

  async #try({ session, run }: JobName, work: Promise<unknown>, what: string): Promise<void> {
    try {
      await work
    } catch (error) {
      const level = error instanceof ReplyError || error instanceof StorageError ? 'warn' : 'error'
      this.#ports.logger[level]({ err: error, session, run }, `failed to ${what}`)
    }
  }
}
