// Purger: takes away what deleted sessions have left, on every store, and sees to it that it is finished: whatever node began a
// deletion, each looks at the list of them now and then. It goes by what the log says; each step may be done any number of
// times, by any number of nodes.
//
//   begun: listed, then `session.deleted` appended, then purged at once by who began ──► purged ──► kept ──► gone
//   A node that has not seen the entry yet may append for as long as an append may take: so it is purged once more after
//   that, and a last time with the entry itself, when the id need not be remembered any more.
import { formatCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Deletion, DeletionList } from '../../store/ports/deletion-list.ts'
import type { Seq } from '../../store/ports/entry.ts'
import type { RunQueue } from '../../store/ports/run-queue.ts'
import type { SessionDirectory } from '../../store/ports/session-directory.ts'
import type { SessionCache } from '../session-cache.ts'
import type { SessionStores } from '../session-replica.ts'

export interface PurgerOptions {
  readonly stores: SessionStores & PurgerStores
  readonly sessions: SessionCache
  /** Milliseconds for which the id of a deleted session is remembered. */
  readonly keptMs: number
  readonly logger: Logger
  readonly now?: () => number
  /** Milliseconds from one look at the list to the next; default 5,000. */
  readonly intervalMs?: number
  /** Milliseconds that who began a deletion has for it, before another one looks after it; default 5,000. */
  readonly ownMs?: number
  /** Milliseconds after which nobody appends any more who has not seen the deletion; default 30,000. */
  readonly settledMs?: number
}

export interface PurgerStores {
  readonly runs: RunQueue
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
}

const INTERVAL_MS = 5_000
const OWN_MS = 5_000
const SETTLED_MS = 30_000
/** Of a stage, at one look. */
const AT_ONCE = 256

export class Purger {
  readonly #options: PurgerOptions
  readonly #settledMs: number
  readonly #timer: NodeJS.Timeout
  #looking: Promise<void> | undefined
  /** The list was not read the last time: that is told once. */
  #failing = false
  #closed = false

  constructor(options: PurgerOptions) {
    this.#options = options
    this.#settledMs = options.settledMs ?? SETTLED_MS
    // Nodes that start together do not look together.
    const intervalMs = (options.intervalMs ?? INTERVAL_MS) * (0.9 + Math.random() / 5)
    this.#timer = setInterval(() => this.#lookInBackground(), intervalMs).unref()
  }

  /** To be called before the entry that deletes is appended. @throws StorageError */
  async begin(session: string): Promise<Deletion> {
    const deletion = { session, at: this.#now() }
    await this.#options.stores.deletions.put(deletion, 'begun')
    return deletion
  }

  /** It came to nothing. Throws nothing: the list is looked through anyway. */
  async withdraw(deletion: Deletion): Promise<void> {
    await this.#try(deletion.session, () => this.#options.stores.deletions.remove(deletion, 'begun'))
  }

  /** Purges a session whose deletion was begun here. Throws nothing: what fails is done later. */
  async finish(deletion: Deletion, seq: Seq): Promise<void> {
    await this.#try(deletion.session, async () => {
      await this.#purge(deletion.session, seq)
      await this.#move(deletion, 'begun', 'purged')
    })
  }

  /** Something came after the deletion: it goes, too. Throws nothing. */
  async again(session: string, seq: Seq): Promise<void> {
    await this.#try(session, () => this.#purge(session, seq))
  }

  /** Finishes what was begun before this node was there: by one that died, if it was not this one. Throws nothing. */
  start(): Promise<void> {
    // By whatever clock.
    return this.look(Number.NEGATIVE_INFINITY)
  }

  /**
   * Looks through the list now; it also happens by itself. Throws nothing.
   * @param ownMs only at deletions that were begun so many milliseconds ago
   */
  look(ownMs = this.#options.ownMs ?? OWN_MS): Promise<void> {
    this.#looking ??= this.#lookAnd(ownMs).finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    await this.#looking
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }

  #lookInBackground(): void {
    if (this.#looking === undefined) void this.look()
  }

  async #lookAnd(ownMs: number): Promise<void> {
    const { logger } = this.#options
    try {
      await this.#look(ownMs)
      this.#failing = false
    } catch (error) {
      if (this.#closed || this.#failing) return
      this.#failing = true
      logger.warn({ err: error }, 'the list of deleted sessions was not read; it is tried again')
    }
  }

  /** @throws StorageError */
  async #look(ownMs: number): Promise<void> {
    const { keptMs } = this.#options
    await this.#each('begun', ownMs, async (deletion) => {
      const seq = await this.#deletedAt(deletion.session)
      if (seq !== undefined) {
        await this.#purge(deletion.session, seq)
        await this.#move(deletion, 'begun', 'purged')
        // Who began it died before the entry, or was refused.
      } else if (this.#now() - deletion.at > this.#settledMs) {
        await this.#options.stores.deletions.remove(deletion, 'begun')
      }
    })
    await this.#each('purged', this.#settledMs, async (deletion) => {
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
    for (const deletion of await this.#options.stores.deletions.list(stage, AT_ONCE)) {
      if (this.#closed || this.#now() - deletion.at < ageMs) return
      await this.#try(deletion.session, () => work(deletion))
    }
  }

  /** Where the log says that the session was deleted. @throws StorageError, CursorLost */
  async #deletedAt(session: string): Promise<Seq | undefined> {
    const lease = await this.#options.sessions.retain(session)
    try {
      return lease.session.state.deleted?.seq
    } finally {
      lease.release()
    }
  }

  /**
   * The transcript goes first: what stands in its place lets the session be opened when the log has nothing before the
   * entry any more; and without the entry nobody would look for it. @param keep the entry that stays; undefined: nothing does
   */
  async #purge(session: string, keep: Seq | undefined): Promise<void> {
    const { log, transcripts, runs, directory } = this.#options.stores
    await transcripts.purge(session, keep === undefined ? undefined : formatCursor(log.epoch, keep - 1))
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
      this.#options.logger.warn({ err: error, session }, 'a deleted session was not purged yet; it is tried again')
    }
  }
}
