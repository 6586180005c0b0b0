// AbandonedRuns: cancels a run some time after its client has disconnected, so that it causes no further cost. Deletes
// the session of an answer that must not be stored. The routes watch only those runs that the client cannot find again.
import { setTimeout as sleep } from 'node:timers/promises'
import { makeId, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Caller } from '../../session/commands/caller.ts'
import type { SessionService } from '../../session/session-service.ts'
import { StorageError } from '../../store/ports/errors.ts'
import { type HttpRequest, onAbort } from '../http/http-request.ts'
import type { JobName } from '../jobs/job-id.ts'

export interface AbandonedRunsPorts {
  readonly service: SessionService
  readonly logger: Logger
  /** Milliseconds between the disconnect and the cancel. */
  readonly graceMs: number
  /** Deletes a session. @throws ReplyError */
  deleteSession(session: string, caller: Caller): Promise<void>
}

/** Milliseconds that `close` waits at most. */
const CLOSE_MS = 2_000

export class AbandonedRuns {
  readonly #ports: AbandonedRunsPorts
  /** What each timer does, and to which run. */
  readonly #timers = new Map<NodeJS.Timeout, { readonly run: string; readonly end: () => void }>()
  readonly #working = new Set<Promise<void>>()

  constructor(ports: AbandonedRunsPorts) {
    this.#ports = ports
  }

  /**
   * @param request its signal aborts when the client disconnects
   * @param isStored whether the session outlives the answer
   * @returns a function to call when the client has its answer. With `keeps`, another answer in the session follows, which has a
   * watch of its own.
   */
  watch(
    { request }: { readonly request: Pick<HttpRequest, 'signal'> },
    name: JobName,
    caller: Caller,
    isStored: boolean,
  ): (keeps?: 'keeps') => void {
    let answered = false
    onAbort(request.signal, () => {
      if (answered) return
      const end = (): void => {
        this.#timers.delete(timer)
        this.#track(this.#end(name, caller, isStored))
      }
      const timer = setTimeout(end, this.#ports.graceMs)
      this.#timers.set(timer, { run: name.run, end })
    })
    return (keeps) => {
      answered = true
      if (!isStored && keeps === undefined) this.#track(this.#delete(name, caller))
    }
  }

  /** The client of the run is back, at this node. */
  returned({ run }: JobName): void {
    for (const [timer, waiting] of this.#timers) {
      if (waiting.run !== run) continue
      clearTimeout(timer)
      this.#timers.delete(timer)
    }
  }

  /** Ends the runs of all clients that have disconnected, and waits for that and for deletions, up to a limit. */
  async close(): Promise<void> {
    for (const [timer, { end }] of this.#timers) {
      clearTimeout(timer)
      end()
    }
    await Promise.race([Promise.all(this.#working), sleep(CLOSE_MS, undefined, { ref: false })])
  }

  #track(work: Promise<void>): void {
    this.#working.add(work)
    void work.then(() => this.#working.delete(work))
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
