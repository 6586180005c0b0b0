// Purger: removes the data of deleted sessions from all stores. Every node checks the list of deletions at intervals,
// so a deletion is completed even if its node dies. The log decides whether a session is deleted. All steps are
// idempotent.
//
//   begun: listed, then `session.deleted` is appended, then the same node purges ──► purged ──► kept ──► gone
// A node that has not read the deletion may still append for a while. So the purger purges the session again later, and
// a last time, including `session.deleted`, when the id is no longer reserved.
import { formatCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Deletion, DeletionList } from '../../store/ports/deletion-list.ts'
import type { Seq } from '../../store/ports/entry.ts'
import type { RunQueue } from '../../store/ports/run-queue.ts'
import type { SessionDirectory } from '../../store/ports/session-directory.ts'
import { purgeLargeMessages } from '../large-messages.ts'
import type { SessionCache } from '../session-cache.ts'
import type { SessionStores } from '../session-replica.ts'

export interface PurgerOptions {
  readonly stores: SessionStores & PurgerStores
  readonly sessions: SessionCache
  /** Milliseconds for which the id of a deleted session stays reserved. */
  readonly keptMs: number
  readonly logger: Logger
  readonly now?: () => number
  /** Milliseconds between two sweeps; default 5,000. */
  readonly intervalMs?: number
  /** Milliseconds after which other nodes continue a deletion; default 5,000. */
  readonly takeoverMs?: number
  /** Milliseconds after which every node has read the deletion, so that nothing is appended; default 30,000. */
  readonly lateAppendMs?: number
}

export interface PurgerStores {
  readonly runs: RunQueue
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
}

const INTERVAL_MS = 5_000
const TAKEOVER_MS = 5_000
const LATE_APPEND_MS = 30_000
/** Maximum number of deletions per stage and sweep. */
const BATCH = 256

export class Purger {
  readonly #options: PurgerOptions
  readonly #lateAppendMs: number
  readonly #timer: NodeJS.Timeout
  #sweeping: Promise<void> | undefined
  /** The last sweep failed. Successive failures are logged once. */
  #failing = false
  #closed = false

  constructor(options: PurgerOptions) {
    this.#options = options
    this.#lateAppendMs = options.lateAppendMs ?? LATE_APPEND_MS
    // Random, so that nodes that start together do not sweep together.
    const intervalMs = (options.intervalMs ?? INTERVAL_MS) * (0.9 + Math.random() / 5)
    this.#timer = setInterval(() => this.#sweepInBackground(), intervalMs).unref()
  }

  /** Lists a deletion. The caller must append `session.deleted` only after that. @throws StorageError */
  async begin(session: string): Promise<Deletion> {
    const deletion = { session, at: this.#now() }
    await this.#options.stores.deletions.put(deletion, 'begun')
    return deletion
  }

  /** Removes a rejected deletion from the list. Failures are logged, and a later sweep retries. */
  async cancel(deletion: Deletion): Promise<void> {
    await this.#try(deletion.session, () => this.#options.stores.deletions.remove(deletion, 'begun'))
  }

  /** Purges a session whose deletion this node began. Failures are logged, and a later sweep retries. */
  async finish(deletion: Deletion, seq: Seq): Promise<void> {
    await this.#try(deletion.session, async () => {
      await this.#purge(deletion.session, seq)
      await this.#move(deletion, 'begun', 'purged')
    })
  }

  /** Purges entries that were appended after the deletion. Failures are logged. */
  async purgeAgain(session: string, seq: Seq): Promise<void> {
    await this.#try(session, () => this.#purge(session, seq))
  }

  /** Continues deletions that began before this node started. Failures are logged. */
  start(): Promise<void> {
    // Not 0: the clock of the node that began a deletion may be ahead.
    return this.sweep(Number.NEGATIVE_INFINITY)
  }

  /**
   * Processes the list now, besides the regular sweeps. Failures are logged.
   * @param takeoverMs skips deletions that began less than this time ago
   */
  sweep(takeoverMs = this.#options.takeoverMs ?? TAKEOVER_MS): Promise<void> {
    this.#sweeping ??= this.#trySweep(takeoverMs).finally(() => {
      this.#sweeping = undefined
    })
    return this.#sweeping
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    await this.#sweeping
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }

  #sweepInBackground(): void {
    if (this.#sweeping === undefined) void this.sweep()
  }

  async #trySweep(takeoverMs: number): Promise<void> {
    const { logger } = this.#options
    try {
      await this.#sweep(takeoverMs)
      this.#failing = false
    } catch (error) {
      if (this.#closed || this.#failing) return
      this.#failing = true
      logger.warn({ err: error }, 'failed to read the list of deleted sessions; retrying')
    }
  }

  /** @throws StorageError */
  async #sweep(takeoverMs: number): Promise<void> {
    const { keptMs } = this.#options
    await this.#each('begun', takeoverMs, async (deletion) => {
      const seq = await this.#deletedAt(deletion.session)
      if (seq !== undefined) {
        await this.#purge(deletion.session, seq)
        await this.#move(deletion, 'begun', 'purged')
      } else if (this.#now() - deletion.at > this.#lateAppendMs) {
        // The append was rejected, or the node died before it.
        await this.#options.stores.deletions.remove(deletion, 'begun')
      }
    })
    await this.#each('purged', this.#lateAppendMs, async (deletion) => {
      const seq = await this.#deletedAt(deletion.session)
      if (seq !== undefined) await this.#purge(deletion.session, seq)
      await this.#move(deletion, 'purged', 'kept')
    })
    await this.#each('kept', keptMs, async (deletion) => {
      if ((await this.#deletedAt(deletion.session)) !== undefined) await this.#purge(deletion.session, undefined)
      await this.#options.stores.deletions.remove(deletion, 'kept')
    })
  }

  async #each(
    stage: 'begun' | 'purged' | 'kept',
    ageMs: number,
    work: (deletion: Deletion) => Promise<void>,
  ): Promise<void> {
    for (const deletion of await this.#options.stores.deletions.list(stage, BATCH)) {
      if (this.#closed || this.#now() - deletion.at < ageMs) return
      await this.#try(deletion.session, () => work(deletion))
    }
  }

  /** The sequence number of the session's deletion; undefined if it is not deleted. @throws StorageError, CursorLost */
  async #deletedAt(session: string): Promise<Seq | undefined> {
    const lease = await this.#options.sessions.retain(session)
    try {
      return lease.session.state.deleted?.seq
    } finally {
      lease.release()
    }
  }

  /**
   * Purges the transcript before the log: its empty replacement lets the session open after the log is purged. And
   * without the log's deletion entry, no sweep would purge the transcript.
   * @param keep the entry to keep; undefined: none
   */
  async #purge(session: string, keep: Seq | undefined): Promise<void> {
    const { log, transcripts, runs, directory } = this.#options.stores
    await transcripts.purge(session, keep === undefined ? undefined : formatCursor(log.epoch, keep - 1))
    await purgeLargeMessages({ log, transcripts }, session, keep === undefined)
    await runs.drop(session)
    await log.purge(session, keep)
    await directory.forget(session)
  }

  async #move(deletion: Deletion, from: 'begun' | 'purged', to: 'purged' | 'kept'): Promise<void> {
    const { deletions } = this.#options.stores
    await deletions.put(deletion, to)
    await deletions.remove(deletion, from)
  }

  async #try(session: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (this.#closed) return
      this.#options.logger.warn({ err: error, session }, 'failed to purge a deleted session; retrying')
    }
  }
}
