// AbandonedRuns: cancels a run some time after its client has disconnected, so that it causes no further cost; also a run of which its
// client never learns, because only a part of its message's storing succeeded. Deletes the session of an answer that must not be stored.
// The routes watch only those runs that the client cannot find again.
import { setTimeout as sleep } from 'node:timers/promises'
import { type ErrorCode, makeId, ReplyError, type Send } from '@parley/protocol'
import type { Logger } from 'pino'
import { catchUp } from '../../session/catch-up.ts'
import type { Caller, Receipt } from '../../session/commands/caller.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import { findCommand } from '../../session/state/session-state.ts'
import { StorageError } from '../../store/ports/errors.ts'
import { type HttpRequest, onAbort } from '../http/http-request.ts'
import type { JobName } from '../jobs/job-id.ts'

export interface AbandonedRunsPorts {
  readonly service: SessionService
  readonly sessions: SessionCache
  readonly stores: SessionStores
  readonly logger: Logger
  /** Milliseconds between the disconnect and the cancel. */
  readonly graceMs: number
  /** Deletes a session. @throws ReplyError */
  deleteSession(session: string, caller: Caller): Promise<void>
}

/** Errors after which the message may be in the log nevertheless. */
const UNSURE: ReadonlySet<ErrorCode> = new Set(['unavailable', 'storage_full', 'contended', 'internal'])
/** Milliseconds before each search for the run of such a message. */
const SEARCHES_MS = [1_000, 2_000, 5_000, 10_000, 20_000]
/** Searches at the same time. In an outage with more of them, some runs continue up to their own limits. */
const MAX_SEARCHES = 1_000

/** Milliseconds that `close` waits at most. */
const CLOSE_MS = 2_000

export class AbandonedRuns {
  readonly #ports: AbandonedRunsPorts
  /** What each timer does, and to which run. */
  readonly #timers = new Map<NodeJS.Timeout, { readonly run: string; readonly end: () => void }>()
  readonly #working = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  #searches = 0

  constructor(ports: AbandonedRunsPorts) {
    this.#ports = ports
  }

  /**
   * Sends a message whose id no other request has. If that fails, a run that it started nevertheless is cancelled.
   * @param isStored whether the session outlives the answer
   * @throws the errors of `SessionService.send`
   */
  async send(command: Send, caller: Caller, isStored: boolean): Promise<Receipt> {
    try {
      return await this.#ports.service.send(command, caller)
    } catch (error) {
      const isUnsure = !(error instanceof ReplyError) || UNSURE.has(error.code)
      if (isUnsure && this.#searches < MAX_SEARCHES) this.#track(this.#endUnknown(command, caller, isStored))
      throw error
    }
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
    this.#closing.abort()
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

  /** Looks for the run until the log is available again, up to a limit. */
  async #endUnknown({ id, session }: Send, caller: Caller, isStored: boolean): Promise<void> {
    const { sessions, stores, logger } = this.#ports
    const { signal } = this.#closing
    this.#searches += 1
    for (const wait of SEARCHES_MS) {
      // A node that shuts down looks once more, at once.
      const isLast = signal.aborted
      await sleep(wait, undefined, { signal, ref: false }).catch(() => undefined)
      try {
        const { isKnown, run } = await sessions.with(session, async (replica) => {
          await catchUp(stores, replica)
          const { state } = replica
          // Not a run of another message that this one steers.
          const run = state.open.find(({ message }) => message === id)?.id
          return { isKnown: findCommand(state, id) !== undefined, run }
        })
        if (run !== undefined) await this.#end({ session, run }, caller, isStored)
        else if (isKnown && !isStored) await this.#delete({ session, run: '' }, caller)
        break
      } catch (error) {
        logger.warn({ err: error, session }, 'failed to look for the run of a message that was not acknowledged')
        if (isLast) break
      }
    }
    this.#searches -= 1
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
