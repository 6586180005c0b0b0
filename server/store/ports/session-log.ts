// SessionLog: a port with one durable, ordered log per session, and a compare-and-append per subject. Every store
// passes session-log.contract.ts. Durable before visible: no reader, follower or resolved promise ever shows an entry
// that a crash could remove. Every method may throw StorageError, also where it is not named.
import type { Cursor, Event } from '@parley/protocol'
import type { Entry, Seq } from './entry.ts'

/**
 * A named part of a session's log with its own compare: `in.<command>`, `run.<run>`, `tool.<call>` or `meta`. Session
 * ids and subjects have 1 to 256 printable ASCII characters and no spaces; an append to others throws a RangeError.
 */
export type Subject = string

/** The subject of a session's settings, members and deletion. Only the deletion is appended with `rollup`. */
export const META: Subject = 'meta'

export interface AppendOptions {
  /** The entry replaces all earlier entries of its subject: readers no longer get those. */
  readonly rollup?: boolean
}

/**
 * Gets the outcome of one append, by exactly one call. It spares the writer of many small entries a promise for each of
 * them.
 */
export interface AppendListener {
  /** The entry is durable, and followers have it. Called synchronously: must be short, may append again. */
  appended(entry: Entry): void
  /** @param error the error with which the promise of `append` would reject */
  refused(error: unknown): void
}

/** Appends to one subject of a session. */
export interface LogWriter {
  /** Like `append`, but reports to a listener. Throws nothing, and calls the listener only after it has returned. */
  submit(event: Event, expect: Seq, listener: AppendListener, options?: AppendOptions): void
}

export interface ReadLimits {
  /** Entries in one batch at most; default 512. */
  readonly batchEntries?: number
  /** Length of the JSON in one batch at most, except that one larger entry is a batch of its own; default 256 KiB. */
  readonly batchBytes?: number
}

export interface Follower {
  /**
   * Receives the next entries, in order, at least one. Called synchronously when they are durable, before the promise
   * of their `append` resolves. Must not throw, and must not call `follow`.
   */
  entries(entries: readonly Entry[]): void
  /** The log cannot continue for this follower, for example after a `CursorLost`. It receives nothing more. */
  lost?(error: Error): void
}

export interface Subscription {
  /** After it returns, the subscription delivers nothing more. Idempotent. */
  close(): void
}

export interface SessionLog {
  /** Identifies the log's history, and is part of every cursor. It changes if the log was lost or restored. */
  readonly epoch: string

  /**
   * Appends the event if the last sequence number on the subject is `expect` (0: no entry yet). A subject keeps its
   * last sequence number after retention has removed its entries, so a command id works only once, for ever.
   * @returns the entry, once it is durable and followers have it
   * @throws Conflict with the subject's last sequence number, once the entry that won is durable
   * @throws StorageError
   */
  append(session: string, subject: Subject, event: Event, expect: Seq, options?: AppendOptions): Promise<Entry>

  /** A writer for many appends to one subject: it spares the log a lookup for each. It needs no close. */
  writer(session: string, subject: Subject): LogWriter

  /**
   * Reads the entries after the cursor, in order, in batches, at least up to the head at the time of the call.
   * @throws CursorLost at the first batch, or later if retention overtakes the reader
   */
  read(session: string, after: Cursor, limits?: ReadLimits): AsyncIterable<readonly Entry[]>

  /**
   * Replays, then goes live: the follower receives every entry after the cursor exactly once, in order. Resolves when
   * it is live: it has received everything that was stored before the call, and receives what is appended from now on.
   * @throws CursorLost
   */
  follow(session: string, after: Cursor, follower: Follower): Promise<Subscription>

  /** @returns the cursor after the last entry; `<epoch>.0` for a session without entries */
  head(session: string): Promise<Cursor>

  /** @returns the last sequence number on a subject; 0 if it never had an entry */
  last(session: string, subject: Subject): Promise<Seq>

  /**
   * Permanently deletes the entries of a session and the last numbers of its subjects. The next append to such a
   * subject must expect 0; an append that expects anything else gets a Conflict. Followers are not notified.
   * Idempotent.
   * @param keep the one entry that stays: the last one of subject `meta`, appended with `rollup`. Undefined: delete
   *   everything
   * @throws StorageError
   */
  purge(session: string, keep: Seq | undefined): Promise<void>

  /** Applies retention now. The store also does so periodically. */
  sweep(): Promise<void>
}

/** Retention removes an entry if a transcript covers it and one of the limits is exceeded. */
export interface Retention {
  /** Age of an entry in milliseconds. */
  readonly maxAgeMs: number
  /** Bytes of the stored entries of all sessions. The oldest entries go first. */
  readonly maxBytes: number
}
