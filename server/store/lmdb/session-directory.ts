// LmdbSessionDirectory: the session directory of a data folder: a row per session, a row per member, and an index by
// newest activity that serves the pages. Updates of one session run one after the other; each is one transaction.
import type { Seq } from '../ports/entry.ts'
import {
  isBefore,
  type ListedSession,
  type ListPosition,
  type SessionDirectory,
  type SessionSummary,
  userKey,
} from '../ports/session-directory.ts'
import type { LmdbEnvironment, Table } from './environment.ts'
import { SessionWriteQueue } from './session-write-queue.ts'
import { MAX_NAME, MAX_NUMBER } from './tables.ts'

interface SessionRow {
  readonly seq: Seq
  readonly title?: string
  readonly createdAt: number
  readonly updatedAt: number
}

interface MemberRow {
  readonly seq: Seq
  /** Absent: no longer a member. */
  readonly role?: string
}

export class LmdbSessionDirectory implements SessionDirectory {
  readonly #environment: LmdbEnvironment
  readonly #sessions: Table<string, SessionRow>
  readonly #members: Table<[string, string], MemberRow>
  /** User key, time of the newest activity, session. */
  readonly #order: Table<[string, number, string], 1>
  readonly #writes: SessionWriteQueue

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment
    this.#sessions = environment.values('directory')
    this.#members = environment.values('directory-members')
    this.#order = environment.values('directory-order')
    this.#writes = new SessionWriteQueue(environment)
  }

  update(summary: SessionSummary): Promise<void> {
    return this.#writes.run(summary.session, () => this.#update(summary))
  }

  async list(user: string, limit: number, before?: ListPosition): Promise<readonly ListedSession[]> {
    const key = userKey(user)
    const from: [string, number, string] =
      before === undefined ? [key, MAX_NUMBER, ''] : [key, before.updatedAt, before.session]
    const found: ListedSession[] = []
    for (const { key: place } of this.#order.range(from, [key, -1, ''], { reverse: true })) {
      const [, updatedAt, session] = place
      if (before !== undefined && !isBefore(before, { updatedAt, session })) continue
      const row = this.#sessions.get(session)
      const role = this.#members.get([session, key])?.role
      if (row === undefined || role === undefined) continue
      const { title, createdAt } = row
      found.push({ session, role, ...(title === undefined ? {} : { title }), createdAt, updatedAt })
      if (found.length === limit) break
    }
    return found
  }

  forget(session: string): Promise<void> {
    return this.#writes.run(session, async () => {
      const updatedAt = this.#sessions.get(session)?.updatedAt ?? 0
      const members = this.#membersOf(session)
      await this.#environment.write(() => {
        this.#sessions.remove(session)
        for (const [user] of members) {
          this.#members.remove([session, user])
          this.#order.remove([user, updatedAt, session])
        }
      }, true)
    })
  }

  /** Resolves when all writes have ended, and refuses later ones. */
  close(): Promise<void> {
    return this.#writes.close()
  }

  async #update(summary: SessionSummary): Promise<void> {
    const { session, seq } = summary
    const before = this.#sessions.get(session)
    const isNewer = before === undefined || seq > before.seq
    const title = isNewer ? summary.title : before.title
    const row: SessionRow = {
      seq: Math.max(seq, before?.seq ?? 0),
      ...(title === undefined ? {} : { title }),
      createdAt: Math.min(summary.createdAt, before?.createdAt ?? summary.createdAt),
      updatedAt: Math.max(summary.updatedAt, before?.updatedAt ?? 0),
    }
    const members = this.#membersOf(session)
    const changed = new Map<string, MemberRow>()
    for (const [user, role] of summary.members) {
      const key = userKey(user)
      const known = members.get(key)
      // An unchanged role is written too, for its `seq`: a summary with an older, different role may still arrive.
      if (known !== undefined && known.seq >= seq) continue
      changed.set(key, { seq, ...(role === undefined ? {} : { role }) })
    }
    const isMoved = before?.updatedAt !== row.updatedAt
    const isSame = before !== undefined && !isMoved && before.title === title && before.createdAt === row.createdAt
    if (isSame && changed.size === 0) return
    await this.#environment.write(() => {
      this.#sessions.put(session, row)
      for (const [user, member] of changed) this.#members.put([session, user], member)
      for (const [user, { role }] of new Map([...members, ...changed])) {
        const isListed = role !== undefined
        if (before !== undefined && (isMoved || !isListed)) this.#order.remove([user, before.updatedAt, session])
        if (isListed) this.#order.put([user, row.updatedAt, session], 1)
      }
    })
  }

  #membersOf(session: string): Map<string, MemberRow> {
    const rows = this.#members.range([session, ''], [session, MAX_NAME])
    return new Map(Array.from(rows, ({ key: [, user], value }) => [user, value]))
  }
}
