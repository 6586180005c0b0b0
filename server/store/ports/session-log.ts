// SessionLog: one durable, ordered log per session, with compare-and-append per subject. A port;
// every store passes session-log.contract.ts. Durable before visible: no reader, no follower and
// no resolved promise ever shows an entry that a crash could take back.
import type { Cursor, Event } from '@parley/protocol'
import type { Entry, Seq } from './entry.ts'

/** Lanes of a session, each with its own compare: `in.<commandId>`, `run.<runId>`, `tool.<callId>`, `meta`. */
export type Subject = string

/** The lane of a session's settings and members, and of its end: only that rolls it up. */
export const META: Subject = 'meta'

export interface AppendOptions {
  /** The entry replaces all earlier ones of its subject, which are then no longer read. */
  readonly rollup?: boolean
}

/** Told once what became of an append: for who appends at every token, and needs no promise for each. */
export interface AppendListener {
  /** It is durable, and followers have it. Called in the log's own turn: must be short, may append again. */
  appended(entry: Entry): void
  /** @param error what the promise of `append` would be rejected with */
  refused(error: unknown): void
}

export interface LogWriter {
  /** As `append`, without a promise. Throws nothing; the listener is never called before it returns. */
  submit(event: Event, expect: Seq, listener: AppendListener, options?: AppendOptions): void
}

export interface ReadLimits {
  /** Entries in one batch; default 512. */
  readonly batchEntries?: number
  /** Bytes of JSON in one batch, of which one entry may be more; default 256 kB. */
  readonly batchBytes?: number
}

export interface Follower {
  /**
   * The next entries, in order, never empty. Called synchronously when they are durable, before
   * the promise of their `append` resolves. Must not throw, and must not call back into `follow`.
   */
  entries(entries: readonly Entry[]): void
  /** The log cannot go on from where this follower is; it gets nothing more. */
  lost?(error: Error): void
}

export interface Subscription {
  /** After it, nothing more is delivered. Idempotent. */
  close(): void
}

export interface SessionLog {
  /** Names this log's history: it changes when a log was lost or restored. Part of every cursor. */
  readonly epoch: string

  /**
   * Appends if `expect` is the last sequence number on the subject (0: none yet).
   * A subject remembers its last sequence number even after its entries were trimmed.
   * @throws Conflict when it is not; told only when what won is durable
   * @throws StorageError when nothing could be stored
   */
  append(session: string, subject: Subject, event: Event, expect: Seq, options?: AppendOptions): Promise<Entry>

  /** Appends of one subject, many of them: the log need not look for it each time. Nothing has to be closed. */
  writer(session: string, subject: Subject): LogWriter

  /**
   * The entries after the cursor up to the head at the time of the call (or later), in order, in batches.
   * @throws CursorLost on the first step
   */
  read(session: string, after: Cursor, limits?: ReadLimits): AsyncIterable<readonly Entry[]>

  /**
   * Replay, then live: every entry after the cursor once, in order. Resolves when it is live: all that
   * was stored before the call has been delivered, and what is appended from now on follows.
   * @throws CursorLost
   */
  follow(session: string, after: Cursor, follower: Follower): Promise<Subscription>

  /** The cursor after the last entry; `<epoch>.0` for a session without any. */
  head(session: string): Promise<Cursor>

  /** The last sequence number on a subject; 0 when it has none. */
  last(session: string, subject: Subject): Promise<Seq>

  /**
   * Takes all entries of a session away for good, and what is remembered of its subjects: the next append to one of them
   * expects 0, and one that expects anything else conflicts. Followers are not told. Idempotent.
   * @param keep the one entry that stays, the last of subject `meta`, which has rolled up those before it; undefined: none
   * @throws StorageError
   */
  purge(session: string, keep: Seq | undefined): Promise<void>

  /** Applies the retention rules now (they also apply by themselves, now and then). */
  sweep(): Promise<void>
}

/** An entry leaves the log when it is older, or the log is larger, and a transcript covers it. */
export interface Retention {
  /** Milliseconds. */
  readonly maxAgeMs: number
  /** Bytes of stored entries over all sessions; the oldest go first. */
  readonly maxBytes: number
}
