// LmdbSessionDirectory: the lists in the log's environment: a row a session, one for each of its members, and an index by the
// newest activity, which a page is read from. Notes of one session go one after the other; each is one transaction.

import type { Seq } from '../ports/entry.ts'
import { StorageError } from '../ports/errors.ts'
import {
  isBefore,
  type ListedSession,
  type ListPlace,
  type SessionDirectory,
  type SessionNote,
  userKey,
} from '../ports/session-directory.ts'
import type { LmdbEnvironment, Table } from './environment.ts'
import { LAST } from './tables.ts'

interface SessionRow {
  readonly seq: Seq
  readonly title?: string
  readonly createdAt: number
  readonly updatedAt: number
}

interface MemberRow {
  readonly seq: Seq
  /** Absent: a member no more. */
  readonly role?: string
}

/** Sorts after every name. */
const LAST_NAME = '\u{10ffff}'

export class LmdbSessionDirectory implements SessionDirectory {
  readonly #environment: LmdbEnvironment
  readonly #sessions: Table<string, SessionRow>
  readonly #members: Table<[string, string], MemberRow>
  /** User, activity, session. */
  readonly #order: Table<[string, number, string], 1>
  readonly #writing = new Map<string, Promise<void>>()
  #closed = false

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment
    this.#sessions = environment.values('directory')
    this.#members = environment.values('directory-members')
    this.#order = environment.values('directory-order')
  }

  note(note: SessionNote): Promise<void> {
    return this.#inTurn(note.session, () => this.#note(note))
  }

  async list(user: string, limit: number, before?: ListPlace): Promise<readonly ListedSession[]> {
    const key = userKey(user)
    const from: [string, number, string] =
      before === undefined ? [key, LAST, ''] : [key, before.updatedAt, before.session]
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
    return this.#inTurn(session, async () => {
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

  /** Resolves when all writes have ended; later ones are refused. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#writing.values())
  }

  async #note(note: SessionNote): Promise<void> {
    const { session, seq } = note
    const before = this.#sessions.get(session)
    const isNewer = before === undefined || seq > before.seq
    const title = isNewer ? note.title : before.title
    const row: SessionRow = {
      seq: Math.max(seq, before?.seq ?? 0),
      ...(title === undefined ? {} : { title }),
      createdAt: Math.min(note.createdAt, before?.createdAt ?? note.createdAt),
      updatedAt: Math.max(note.updatedAt, before?.updatedAt ?? 0),
    }
    const members = this.#membersOf(session)
    const changed = new Map<string, MemberRow>()
    for (const [user, role] of note.members) {
      const key = userKey(user)
      const known = members.get(key)
      // What says the same is noted as well: an older note that says otherwise may come later.
      if (known !== undefined && known.seq >= seq) continue
      changed.set(key, { seq, ...(role === undefined ? {} : { role }) })
    }
    const moved = before?.updatedAt !== row.updatedAt
    const same = before !== undefined && !moved && before.title === title && before.createdAt === row.createdAt
    if (same && changed.size === 0) return
    await this.#environment.write(() => {
      this.#sessions.put(session, row)
      for (const [user, member] of changed) this.#members.put([session, user], member)
      for (const [user, { role }] of new Map([...members, ...changed])) {
        const isListed = role !== undefined
        if (before !== undefined && (moved || !isListed)) this.#order.remove([user, before.updatedAt, session])
        if (isListed) this.#order.put([user, row.updatedAt, session], 1)
      }
    })
  }

  #membersOf(session: string): Map<string, MemberRow> {
    const rows = this.#members.range([session, ''], [session, LAST_NAME])
    return new Map(Array.from(rows, ({ key: [, user], value }) => [user, value]))
  }

  #inTurn(session: string, work: () => Promise<void>): Promise<void> {
    if (this.#closed) return Promise.reject(new StorageError('unavailable'))
    const before = this.#writing.get(session) ?? Promise.resolve()
    const done = before.then(async () => {
      await work()
      this.#environment.refresh()
    })
    const settled = done
      .catch(() => undefined)
      .then(() => {
        if (this.#writing.get(session) === settled) this.#writing.delete(session)
      })
    this.#writing.set(session, settled)
    return done
  }
}
