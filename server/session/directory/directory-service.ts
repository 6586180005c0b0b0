// DirectoryService: keeps the lists of sessions up to what the sessions say. Whoever comes to a session, changes it or folds it
// says so here, which costs a look into a map; what differs from what this node noted last is noted within a second, off
// everybody's way. A note that fails is made again by whoever comes next: the session's log is the truth.
import type { Logger } from 'pino'
import type { ListedSession, ListPlace, SessionDirectory, SessionNote } from '../../store/ports/session-directory.ts'
import type { SessionReplica } from '../session-replica.ts'
import type { Members } from '../state/members.ts'
import type { SessionState } from '../state/session-state.ts'

export interface DirectoryServiceOptions {
  readonly directory: SessionDirectory
  /** Where nobody needs a token: whose all sessions are. */
  readonly everybody?: string
  readonly logger: Logger
  readonly now?: () => number
  /** Milliseconds for which what is to be noted of a session is gathered; default 1,000. */
  readonly gatherMs?: number
}

/** What was noted last of a session, by this node. */
interface Noted {
  readonly title: string | undefined
  readonly members: Members
  readonly updatedAt: number
}

interface Waiting {
  readonly state: SessionState
  /** Unix milliseconds at which its title or its members were changed; 0: not that this node knows. */
  readonly changedAt: number
}

const GATHER_MS = 1_000
/** Sessions that wait to be noted; more are noted when somebody comes to them again. */
const WAITING_MAX = 20_000
const NOTED_MAX = 20_000
/** Members of all sessions that were noted, which are remembered. */
const NOTED_MEMBERS_MAX = 100_000
/** Where notes share a transaction, the more the better. */
const TOGETHER = 256
/** Milliseconds that `close` waits. */
const CLOSE_MS = 2_000

export class DirectoryService {
  readonly #options: DirectoryServiceOptions
  readonly #waiting = new Map<string, Waiting>()
  /** The one that was noted longest ago first. */
  readonly #noted = new Map<string, Noted>()
  /** Being noted now, and not forgotten meanwhile. */
  readonly #noting = new Set<string>()
  #members = 0
  #timer: NodeJS.Timeout | undefined
  #flushing: Promise<void> | undefined

  constructor(options: DirectoryServiceOptions) {
    this.#options = options
  }

  /** Somebody came to the session, changed it, or folds it: what this node has not noted of it is noted soon. */
  visited({ id, state }: SessionReplica): void {
    if (state.deleted !== undefined) this.forget(id)
    if (state.seq === 0 || state.deleted !== undefined) return
    const noted = this.#noted.get(id)
    const waiting = this.#waiting.get(id)
    const known = waiting?.state ?? noted
    const isChanged = known !== undefined && (known.title !== state.title || known.members !== state.members)
    if (noted !== undefined && !isChanged && lastSaid(state) <= noted.updatedAt) return
    this.#wait(id, { state, changedAt: isChanged ? this.#now() : (waiting?.changedAt ?? 0) })
  }

  list(user: string, limit: number, before?: ListPlace): Promise<readonly ListedSession[]> {
    return this.#options.directory.list(user, limit, before)
  }

  /** The session is gone. */
  forget(id: string): void {
    this.#waiting.delete(id)
    this.#noting.delete(id)
    this.#drop(id)
  }

  /** Notes all that waits. Throws nothing. */
  async flush(): Promise<void> {
    while (this.#waiting.size > 0 || this.#flushing !== undefined) {
      this.#flushing ??= this.#flush().finally(() => {
        this.#flushing = undefined
      })
      await this.#flushing
    }
  }

  /** Notes what waits, for a bounded time. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    let late: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      late = setTimeout(resolve, CLOSE_MS)
    })
    await Promise.race([this.flush(), patience])
    clearTimeout(late)
    this.#waiting.clear()
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }

  #wait(id: string, waiting: Waiting): void {
    if (!this.#waiting.has(id) && this.#waiting.size >= WAITING_MAX) return
    this.#waiting.set(id, waiting)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.flush()
    }, this.#options.gatherMs ?? GATHER_MS).unref()
  }

  async #flush(): Promise<void> {
    const all = [...this.#waiting]
    this.#waiting.clear()
    for (let from = 0; from < all.length; from += TOGETHER) {
      await Promise.all(all.slice(from, from + TOGETHER).map(([id, waiting]) => this.#note(id, waiting)))
    }
  }

  async #note(id: string, { state, changedAt }: Waiting): Promise<void> {
    const { directory, logger } = this.#options
    const noted = this.#noted.get(id)
    const { title, members } = state
    const createdAt = state.messages[0]?.time ?? (changedAt || this.#now())
    const updatedAt = Math.max(changedAt, lastSaid(state), noted?.updatedAt ?? 0) || createdAt
    const note: SessionNote = {
      session: id,
      seq: state.seq,
      title,
      createdAt: Math.min(createdAt, updatedAt),
      updatedAt,
      members: noted?.members === members ? new Map() : this.#rolesOf(members, noted?.members),
    }
    this.#noting.add(id)
    try {
      await directory.note(note)
    } catch (error) {
      this.#noting.delete(id)
      logger.warn({ err: error, session: id }, 'a session was not noted in the lists; whoever comes next notes it')
      return
    }
    if (!this.#noting.delete(id)) return
    this.#drop(id)
    this.#noted.set(id, { title, members, updatedAt })
    this.#members += sizeOf(members)
    for (const oldest of this.#noted.keys()) {
      if (this.#noted.size <= NOTED_MAX && this.#members <= NOTED_MEMBERS_MAX) break
      this.#drop(oldest)
    }
  }

  #drop(id: string): void {
    const noted = this.#noted.get(id)
    if (noted === undefined) return
    this.#noted.delete(id)
    this.#members -= sizeOf(noted.members)
  }

  /** Those that are not as they were noted before. */
  #rolesOf({ all, gone }: Members, before: Members | undefined): Map<string, string | undefined> {
    const { everybody } = this.#options
    if (everybody !== undefined) return new Map([[everybody, 'owner']])
    const roles = new Map<string, string | undefined>()
    for (const user of gone.keys()) if (before === undefined || before.all.has(user)) roles.set(user, undefined)
    for (const [user, { role }] of all) if (before?.all.get(user)?.role !== role) roles.set(user, role)
    return roles
  }
}

function sizeOf({ all, gone }: Members): number {
  return all.size + gone.size
}

/** Unix milliseconds of the newest message; 0: none. */
function lastSaid(state: SessionState): number {
  return state.messages.at(-1)?.time ?? 0
}
