// DirectoryService: updates the users' lists of sessions from the states of the sessions. Each use of a session calls
// `visited`, which costs a map lookup. Differences from this node's last summary are written in the background within a
// second. The logs are the source of truth, so the next visit repairs a failed write.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type {
  ListedSession,
  ListPosition,
  SessionDirectory,
  SessionSummary,
} from '../../store/ports/session-directory.ts'
import type { SessionReplica } from '../session-replica.ts'
import type { Members } from '../state/members.ts'
import type { SessionState } from '../state/session-state.ts'

export interface DirectoryServiceOptions {
  readonly directory: SessionDirectory
  /** Without authentication: the user that owns all sessions. */
  readonly everybody?: string
  readonly logger: Logger
  readonly now?: () => number
  /** Milliseconds for which summaries are batched; default 1,000. */
  readonly gatherMs?: number
}

/** The content of the last summary that this node wrote for a session. */
interface Written {
  readonly title: string | undefined
  readonly members: Members
  readonly updatedAt: number
}

interface Pending {
  readonly session: Pick<SessionReplica, 'state'>
  readonly state: SessionState
  /** Unix milliseconds of the last known change of the title or the members; 0: none known. */
  readonly changedAt: number
  /** Unix milliseconds of the visit, which is the time of a session without messages: the write comes later. */
  readonly visitedAt: number
}

const GATHER_MS = 1_000
/** Maximum number of pending sessions. Others are written at their next visit. */
const MAX_PENDING = 20_000
const MAX_WRITTEN = 20_000
/** Maximum number of members in all remembered summaries. */
const MAX_WRITTEN_MEMBERS = 100_000
/** The number of concurrent writes, which share a transaction if the store can do that. */
const BATCH = 256
/** Milliseconds that `close` waits for pending summaries. */
const CLOSE_MS = 2_000

export class DirectoryService {
  readonly #options: DirectoryServiceOptions
  readonly #pending = new Map<string, Pending>()
  /** Oldest summary first. */
  readonly #written = new Map<string, Written>()
  /** Sessions whose summary is being written. `forget` removes them, so that the summary is not remembered. */
  readonly #writing = new Set<string>()
  #writtenMembers = 0
  #timer: NodeJS.Timeout | undefined
  #flushing: Promise<void> | undefined

  constructor(options: DirectoryServiceOptions) {
    this.#options = options
  }

  /**
   * Schedules a summary if the session differs from this node's last summary. Called when a session is opened, changed
   * or compacted.
   */
  visited(session: Pick<SessionReplica, 'id' | 'state'>): void {
    const { id, state } = session
    if (state.deleted !== undefined) this.forget(id)
    if (state.deleted !== undefined || !isUsed(state)) return
    const written = this.#written.get(id)
    const pending = this.#pending.get(id)
    const known = pending?.state ?? written
    const isChanged = known !== undefined && (known.title !== state.title || known.members !== state.members)
    if (written !== undefined && !isChanged && lastMessageAt(state) <= written.updatedAt) return
    const now = this.#now()
    const visitedAt = pending?.visitedAt ?? now
    this.#enqueue(id, { session, state, changedAt: isChanged ? now : (pending?.changedAt ?? 0), visitedAt })
  }

  list(user: string, limit: number, before?: ListPosition): Promise<readonly ListedSession[]> {
    return this.#options.directory.list(user, limit, before)
  }

  /** Drops everything about a deleted session. */
  forget(id: string): void {
    this.#pending.delete(id)
    this.#writing.delete(id)
    this.#drop(id)
  }

  /** Writes all pending summaries. Failures are logged. */
  async flush(): Promise<void> {
    while (this.#pending.size > 0 || this.#flushing !== undefined) {
      this.#flushing ??= this.#flush().finally(() => {
        this.#flushing = undefined
      })
      await this.#flushing
    }
  }

  /** Writes pending summaries for a limited time. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await Promise.race([this.flush(), sleep(CLOSE_MS, undefined, { ref: false })])
    this.#pending.clear()
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }

  #enqueue(id: string, pending: Pending): void {
    if (!this.#pending.has(id) && this.#pending.size >= MAX_PENDING) return
    this.#pending.set(id, pending)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.flush()
    }, this.#options.gatherMs ?? GATHER_MS).unref()
  }

  async #flush(): Promise<void> {
    const all = [...this.#pending]
    this.#pending.clear()
    for (let from = 0; from < all.length; from += BATCH) {
      await Promise.all(all.slice(from, from + BATCH).map(([id, pending]) => this.#write(id, pending)))
    }
  }

  async #write(id: string, { session, state, changedAt, visitedAt }: Pending): Promise<void> {
    const { directory, logger } = this.#options
    const written = this.#written.get(id)
    const { title, members } = state
    const createdAt = state.messages[0]?.time ?? (changedAt || visitedAt)
    const updatedAt = Math.max(changedAt, lastMessageAt(state), written?.updatedAt ?? 0) || createdAt
    const summary: SessionSummary = {
      session: id,
      seq: state.seq,
      title,
      createdAt: Math.min(createdAt, updatedAt),
      updatedAt,
      members: written?.members === members ? new Map() : this.#rolesOf(members, written?.members),
    }
    this.#writing.add(id)
    try {
      await directory.update(summary)
      // Deleted meanwhile, perhaps on another node: the row would keep its title, which may be a user's text.
      if (session.state.deleted !== undefined) {
        await directory.forget(id)
        this.forget(id)
      }
    } catch (error) {
      this.#writing.delete(id)
      logger.warn({ err: error, session: id }, 'failed to update the session directory; the next visit retries')
      return
    }
    if (!this.#writing.delete(id)) return
    this.#drop(id)
    this.#written.set(id, { title, members, updatedAt })
    this.#writtenMembers += memberCount(members)
    for (const oldest of this.#written.keys()) {
      if (this.#written.size <= MAX_WRITTEN && this.#writtenMembers <= MAX_WRITTEN_MEMBERS) break
      this.#drop(oldest)
    }
  }

  #drop(id: string): void {
    const written = this.#written.get(id)
    if (written === undefined) return
    this.#written.delete(id)
    this.#writtenMembers -= memberCount(written.members)
  }

  /** The roles that differ from the last summary; undefined for former members. */
  #rolesOf({ all, gone }: Members, before: Members | undefined): Map<string, string | undefined> {
    const { everybody } = this.#options
    if (everybody !== undefined) return new Map([[everybody, 'owner']])
    const roles = new Map<string, string | undefined>()
    for (const user of gone.keys()) if (before === undefined || before.all.has(user)) roles.set(user, undefined)
    for (const [user, { role }] of all) if (before?.all.get(user)?.role !== role) roles.set(user, role)
    return roles
  }
}

/**
 * Whether there is more than a first visitor. The messages of a long session may not be in memory, but then it has a
 * title or commands.
 */
function isUsed({ messages, title, commands, members }: SessionState): boolean {
  if (messages.length > 0 || title !== undefined || memberCount(members) > 1) return true
  return commands.some(({ message }) => message !== undefined)
}

function memberCount({ all, gone }: Members): number {
  return all.size + gone.size
}

/** Unix milliseconds of the newest message; 0: none. */
function lastMessageAt(state: SessionState): number {
  return state.messages.at(-1)?.time ?? 0
}
