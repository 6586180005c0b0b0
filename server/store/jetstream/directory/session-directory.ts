// JetStreamSessionDirectory: users' lists of sessions, in a stream that keeps the last message of each subject.
// Activity is written once per session, however many members it has. A list is assembled when a user requests it.
//
//   <prefix>.directory.session.<session>          title, times
//   <prefix>.directory.member.<user>.<session>    role; `<user>` is a hash
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Seq } from '../../ports/entry.ts'
import { Conflict } from '../../ports/errors.ts'
import {
  isBefore,
  type ListedSession,
  type ListPosition,
  type SessionDirectory,
  type SessionSummary,
  userKey,
} from '../../ports/session-directory.ts'
import type { Subscription } from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'
import { DirectReader } from '../log/direct-reader.ts'
import { Publisher } from '../log/publisher.ts'
import { escapeToken, type StoredMessage, unescapeToken } from '../log/record.ts'
import { purge } from '../maintenance/purge.ts'
import type { Streams } from '../streams.ts'

export interface JetStreamSessionDirectoryOptions {
  readonly connection: JetStreamConnection
  readonly streams: Streams
  readonly logger: Logger
}

interface Row {
  /** The log's epoch to which `seq` belongs. Numbers of different epochs cannot be compared. */
  readonly epoch: string
  readonly seq: Seq
}

interface SessionRow extends Row {
  readonly title?: string
  readonly createdAt: number
  readonly updatedAt: number
}

interface MemberRow extends Row {
  /** Absent: the user is no longer a member. */
  readonly role?: string
}

/** A row, and the sequence number of its message; 0 without a row. */
interface Stored<R extends Row> {
  readonly at: Seq
  readonly row: R | undefined
}

const WRITE_ATTEMPTS = 32
const RETRY_MS = 20
/** Subjects in one request; a server answers at most 1,024. */
const MAX_SUBJECTS = 500
/** For a user with more sessions, all rows are read instead of the user's own. */
const SCAN_ABOVE = 4_000
const LIST_BYTES = 4 * 1024 * 1024
const SCAN_ENTRIES = 1_000
/** Limit of rows read for one list. */
const SCAN_MAX = 200_000
/** Cached rows of sessions, so that writing activity costs one message. */
const KNOWN_MAX = 10_000

export class JetStreamSessionDirectory implements SessionDirectory {
  readonly #options: JetStreamSessionDirectoryOptions
  readonly #publisher: Publisher
  readonly #reader: DirectReader
  readonly #states: Subscription
  readonly #known = new Map<string, Stored<SessionRow>>()

  constructor(options: JetStreamSessionDirectoryOptions) {
    const { connection, logger } = options
    this.#options = options
    this.#publisher = new Publisher(connection.nats, logger)
    this.#reader = new DirectReader(connection.nats)
    this.#states = connection.onState((state) => {
      if (state !== 'live') return this.#publisher.pause()
      this.#reader.interrupt()
      this.#publisher.resume()
    })
  }

  async update(note: SessionSummary): Promise<void> {
    const members = [...note.members].map(([user, role]) => ({ subject: this.#member(user, note.session), role }))
    // Members first: a list shows only sessions with a member row and a session row.
    for (let from = 0; from < members.length; from += MAX_SUBJECTS) {
      await this.#noteMembers(note, members.slice(from, from + MAX_SUBJECTS))
    }
    const subject = this.#session(note.session)
    const stored = await this.#write<SessionRow>(subject, this.#known.get(subject), (row) => this.#merged(note, row))
    this.#remember(subject, stored)
  }

  async list(user: string, limit: number, before?: ListPosition): Promise<readonly ListedSession[]> {
    const roles = new Map<string, string>()
    const start = this.#member(user, '')
    for (const message of await this.#all(`${start}*`)) {
      const { role } = rowOf<MemberRow>(message)
      if (role !== undefined) roles.set(unescapeToken(message.subject.slice(start.length)), role)
    }
    const found: ListedSession[] = []
    for (const [session, { title, createdAt, updatedAt }] of await this.#rowsOf(roles)) {
      const role = roles.get(session)
      if (role === undefined || (before !== undefined && !isBefore(before, { updatedAt, session }))) continue
      found.push({ session, role, ...(title === undefined ? {} : { title }), createdAt, updatedAt })
    }
    return found.sort((a, b) => (isBefore(a, b) ? -1 : 1)).slice(0, limit)
  }

  async forget(session: string): Promise<void> {
    const token = escapeToken(session)
    const { prefix } = this.#options.streams
    await this.#purge(`${prefix}.directory.session.${token}`)
    await this.#purge(`${prefix}.directory.member.*.${token}`)
    this.#known.delete(this.#session(session))
  }

  /** Rejects new calls, and waits for those in progress. */
  async close(): Promise<void> {
    await this.#publisher.close()
    this.#reader.close()
    this.#states.close()
  }

  async #noteMembers(
    { seq }: SessionSummary,
    members: readonly { readonly subject: string; readonly role: string | undefined }[],
  ): Promise<void> {
    const { epoch } = this.#options.streams
    const stored = await this.#rows<MemberRow>(members.map(({ subject }) => subject))
    await Promise.all(
      members.map(({ subject, role }) =>
        this.#write<MemberRow>(subject, stored.get(subject) ?? { at: 0, row: undefined }, (row) => {
          // An unchanged role is written, too, so that a delayed older note cannot overwrite it.
          if (row !== undefined && isNewer(row, epoch, seq)) return undefined
          return { epoch, seq, ...(role === undefined ? {} : { role }) }
        }),
      ),
    )
  }

  /** The row after a note is applied; undefined if nothing changes. */
  #merged(note: SessionSummary, row: SessionRow | undefined): SessionRow | undefined {
    const { epoch } = this.#options.streams
    const title = row !== undefined && isNewer(row, epoch, note.seq) ? row.title : note.title
    const createdAt = Math.min(note.createdAt, row?.createdAt ?? note.createdAt)
    const updatedAt = Math.max(note.updatedAt, row?.updatedAt ?? 0)
    if (row?.title === title && row?.createdAt === createdAt && row.updatedAt === updatedAt) return undefined
    const seq = row?.epoch === epoch ? Math.max(row.seq, note.seq) : note.seq
    return { epoch, seq, ...(title === undefined ? {} : { title }), createdAt, updatedAt }
  }

  /** Changes a row by compare-and-append. @throws StorageError, Conflict when other writers win every attempt */
  async #write<R extends Row>(
    subject: string,
    known: Stored<R> | undefined,
    change: (row: R | undefined) => R | undefined,
  ): Promise<Stored<R>> {
    let stored = known ?? (await this.#row<R>(subject))
    for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt += 1) {
      const row = change(stored.row)
      if (row === undefined) return stored
      const outcome = await this.#publisher.publish({ subject, payload: JSON.stringify(row), expect: stored.at })
      if (outcome.stored !== undefined) return { at: outcome.stored, row }
      // The next server may lag, and writers that lost at the same time should not retry at the same time.
      if (attempt > 0) await sleep(RETRY_MS * (0.5 + Math.random()))
      stored = outcome.last === 0 ? { at: 0, row: undefined } : await this.#row<R>(subject)
    }
    throw new Conflict(stored.at)
  }

  async #row<R extends Row>(subject: string): Promise<Stored<R>> {
    return (await this.#rows<R>([subject])).get(subject) ?? { at: 0, row: undefined }
  }

  async #rows<R extends Row>(subjects: readonly string[]): Promise<Map<string, Stored<R>>> {
    const rows = new Map<string, Stored<R>>()
    for (let from = 0; from < subjects.length; from += MAX_SUBJECTS) {
      const part = subjects.slice(from, from + MAX_SUBJECTS)
      for (const message of await this.#reader.lastBySubject(this.#options.streams.directory, part)) {
        rows.set(message.subject, { at: message.seq, row: rowOf<R>(message) })
      }
    }
    return rows
  }

  async #rowsOf(sessions: ReadonlyMap<string, string>): Promise<Map<string, SessionRow>> {
    const rows = new Map<string, SessionRow>()
    const start = this.#session('')
    const take = (subject: string, row: SessionRow | undefined): void => {
      if (row !== undefined) rows.set(unescapeToken(subject.slice(start.length)), row)
    }
    if (sessions.size > SCAN_ABOVE) {
      for (const message of await this.#all(`${start}*`)) take(message.subject, rowOf<SessionRow>(message))
    } else {
      const subjects = [...sessions.keys()].map((session) => this.#session(session))
      for (const [subject, { row }] of await this.#rows<SessionRow>(subjects)) take(subject, row)
    }
    return rows
  }

  /** All rows that match a pattern: up to a thousand with one request by subject, more with range reads. */
  async #all(pattern: string): Promise<readonly StoredMessage[]> {
    const { directory } = this.#options.streams
    const found = await this.#reader.lastBySubjectFrom(directory, pattern, 1, LIST_BYTES)
    if (found !== undefined) return found
    const all: StoredMessage[] = []
    for (let from = 1; all.length < SCAN_MAX; ) {
      const range = { stream: directory, filter: pattern, from, entries: SCAN_ENTRIES, bytes: LIST_BYTES }
      const { messages } = await this.#reader.range(range)
      const last = messages.at(-1)
      if (last === undefined) return all
      all.push(...messages)
      from = last.seq + 1
    }
    this.#options.logger.warn({ rows: all.length }, 'a list of sessions exceeds the read limit')
    return all
  }

  #purge(filter: string): Promise<void> {
    const { connection, streams } = this.#options
    return purge(connection.nats, streams.directory, { filter })
  }

  #remember(subject: string, stored: Stored<SessionRow>): void {
    this.#known.delete(subject)
    this.#known.set(subject, stored)
    const [oldest] = this.#known.keys()
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest)
  }

  #session(session: string): string {
    return `${this.#options.streams.prefix}.directory.session.${escapeToken(session)}`
  }

  #member(user: string, session: string): string {
    return `${this.#options.streams.prefix}.directory.member.${userKey(user)}.${escapeToken(session)}`
  }
}

/** Whether the row is at least as new as a note of entry `seq`. */
function isNewer(row: Row, epoch: string, seq: Seq): boolean {
  return row.epoch === epoch && row.seq >= seq
}

function rowOf<R extends Row>({ data }: StoredMessage): R {
  return JSON.parse(Buffer.from(data).toString()) as R
}
